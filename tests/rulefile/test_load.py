"""Loading, and the folder `bad`: small files named after what each proves, with what is said of them at their top."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.evidence import Evidence, Phase
from postel.rulefile.casefile import read_cases
from postel.rulefile.finding import RuleFileError
from postel.rulefile.load import gather, load_rules

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.yaml"))
RULE = "version: 1\npack: {0}\nrules: [{{id: {0}-x, when: {{status: 500}}, then: {{fault: internal}}}}]\n"


def texts(findings: Any) -> list[str]:
    return [finding.text for finding in findings]


def told_of(path: Path, findings: Any) -> list[str]:
    own = sorted(
        (f for f in findings if f.path == path), key=lambda finding: (finding.line, finding.column, finding.text)
    )
    return [str(finding).removeprefix(f"{path}:") for finding in own]


@pytest.mark.parametrize("path", BAD, ids=lambda path: path.name)
def test_a_bad_file_is_told_what_and_where_and_how_to_mend(path: Path, library: Path, acme: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    expected = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]
    if path.name.endswith(".cases.yaml"):
        findings: Any = read_cases(path, gather([acme], library=library)).document.findings
    else:
        findings = gather([path], library=library).problems

    assert expected
    assert expected == told_of(path, findings)


def test_user_packs_come_before_the_library_in_the_order_given(library: Path, write: Any) -> None:
    paths = [
        write("z.yaml", RULE.format("zeta")),
        write("folder/b.yaml", RULE.format("bee")).parent,
        write("a.yaml", RULE.format("ay")),
    ]
    write("folder/a.yaml", RULE.format("ant"))

    assert [
        "zeta-x",
        "ant-x",
        "bee-x",
        "ay-x",
        "alpha-busy",
        "beta-loading",
        "edge-gateway",
        "rest-limit",
        "rest-any",
        "transport-any",
    ] == [rule.id for rule in load_rules(paths, library=library).rules.asked]


def test_the_packs_setting_is_obeyed(library: Path) -> None:
    rules = load_rules(packs=["edge", "beta"], library=library).rules

    assert ["edge-gateway", "beta-loading", "beta-silent"] == [rule.id for rule in rules.asked][:3]


def test_an_unknown_name_in_packs_is_an_error(library: Path) -> None:
    with pytest.raises(RuleFileError) as refusal:
        load_rules(packs=["betta"], library=library)

    assert "packs: there is no pack `betta`, did you mean `beta`?" == str(refusal.value)

    with pytest.raises(RuleFileError) as refusal:
        load_rules(packs=["quite-another"], library=library)

    assert "packs: there is no pack `quite-another`, there are alpha, beta, cloud, edge" == str(refusal.value)


def test_dialects_are_loaded_with_what_they_inherit(library: Path) -> None:
    dialects = load_rules(library=library).dialects

    assert {"openai", "strict"} == set(dialects)
    assert (502, "internal_error") == (
        dialects["strict"].rows["internal"].status,
        dialects["strict"].rows["internal"].code,
    )


def test_a_dialect_of_the_users_is_known_by_what_it_says(library: Path, write: Any) -> None:
    path = write("mine.yaml", "version: 1\ndialect: mine\ninherits: strict\nfaults: {tier_not_allowed: {code: mine}}\n")

    assert "mine" == load_rules([path], library=library).dialects["mine"].rows["tier_not_allowed"].code


def test_finer_faults_of_packs_and_dialects_are_known_with_their_parents(library: Path, acme: Path) -> None:
    faults = load_rules([acme], library=library).rules.faults

    assert ("gpu_quota_exhausted", "quota_exhausted") == faults.lineage("gpu_quota_exhausted")
    assert "permission_denied" == faults.base("tier_not_allowed")


def test_a_pack_may_name_a_fault_that_a_dialect_adds(library: Path, write: Any) -> None:
    path = write("a.yaml", RULE.format("a").replace("internal", "tier_not_allowed"))
    verdict = load_rules([path], library=library).rules.classify(Evidence(Phase.RESPONSE, status=500))

    assert verdict is not None
    assert "tier_not_allowed" == verdict.fault


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (RULE.format("beta"), ["pack `beta` is there twice"]),
        ("version: 1\npack: rest\nrules: []\n", ["pack `rest` is there twice"]),
        (
            "version: 1\npack: a\nfaults: {tier_not_allowed: {is: internal}}\nrules: []\n",
            ["a dialect has `tier_not_allowed` as a finer permission_denied"],
        ),
    ],
)
def test_what_clashes_with_the_library_is_the_users_to_mend(
    library: Path, write: Any, text: str, says: list[str]
) -> None:
    path = write("own.yaml", text)
    with pytest.raises(RuleFileError) as refusal:
        load_rules([path], library=library)

    assert says == texts(refusal.value.findings)
    assert {path} == {finding.path for finding in refusal.value.findings}


def test_two_packs_may_declare_the_same_finer_fault_but_not_two(library: Path, write: Any) -> None:
    text = "version: 1\npack: {}\nfaults: {{gpu_quota: {{is: quota_exhausted, retry_after: {}}}}}\nrules: []\n"
    one, same, other = (write(f"{n}.yaml", text.format(n, wait)) for n, wait in (("a", "1h"), ("b", "1h"), ("c", "2h")))

    assert () == load_rules([one, same], library=library).problems
    with pytest.raises(RuleFileError, match=r"c.yaml:3:10: fault `gpu_quota` says something else in .*a.yaml"):
        load_rules([one, other], library=library)


def test_a_rule_id_is_unique_among_all_packs(library: Path, write: Any) -> None:
    one = write("a.yaml", RULE.format("a").replace("a-x", "a-b-x"))
    two = write("b.yaml", RULE.format("a-b"))

    with pytest.raises(RuleFileError, match=r"b.yaml:3:14: rule `a-b-x` is there twice, also in .*a.yaml"):
        load_rules([one, two], library=library)


def test_every_error_of_every_file_is_told(library: Path, write: Any) -> None:
    paths = [write("a.yaml", "version: 2\npack: a\nrules: []\n"), write("b.yaml", "pack: b\nrules: []\n")]
    with pytest.raises(RuleFileError) as refusal:
        load_rules([*paths, Path("/nowhere/c.yaml")], library=library)

    assert {"no such file or folder", "`version` is the number 2", "`version` is missing"} == set(
        texts(refusal.value.findings)
    )


def test_a_broken_file_of_the_users_may_be_left_out_loudly(library: Path, write: Any) -> None:
    broken, fine = write("a.yaml", RULE.format("a").replace("internal", "intrnal")), write("b.yaml", RULE.format("b"))
    loaded = load_rules([broken, fine], library=library, skip_invalid=True)

    assert "b-x" == loaded.rules.asked[0].id
    assert ["unknown fault `intrnal`"] == texts(loaded.problems)


def test_a_broken_library_is_never_left_out(write: Any) -> None:
    path = write("library/engines/a.yaml", "version: 1\n")
    with pytest.raises(RuleFileError):
        load_rules(library=path.parents[1], skip_invalid=True)


def test_a_folder_without_rule_files_is_an_error_that_may_be_left_out_loudly(library: Path, write: Any) -> None:
    folder = write("mount/..data/acme.yaml", RULE.format("acme")).parents[1]
    with pytest.raises(RuleFileError) as refusal:
        load_rules([folder], library=library)
    loaded = load_rules([folder], library=library, skip_invalid=True)

    assert f"{folder}: no rule file in this folder, they end in .yaml; is it mounted?" == str(refusal.value)
    assert refusal.value.findings == loaded.problems


def test_warnings_do_not_keep_a_file_out(library: Path, write: Any) -> None:
    path = write("a.yaml", RULE.format("a") + "disable: [beta-laoding, beta-loading]\n")
    loaded = load_rules([path], library=library)

    assert ["warning"] == [problem.severity for problem in loaded.problems]
    assert ["there is no rule `beta-laoding`"] == texts(loaded.problems)
    assert "beta-loading" not in [rule.id for rule in loaded.rules.asked]


def test_a_file_given_twice_is_read_once(library: Path, write: Any) -> None:
    path = write("a.yaml", RULE.format("a"))

    assert () == load_rules([path, path.parent], library=library).problems


def test_finer_faults_that_lead_nowhere_are_told_and_not_known(library: Path, write: Any) -> None:
    path = write(
        "d.yaml",
        "version: 1\ndialect: d\nfaults: {a: {is: b}, b: {is: a}, c: {is: nothing}, internal: {is: overloaded}}\n",
    )
    loaded = gather([path], library=library)

    assert [
        "unknown fault `b`",
        "unknown fault `a`",
        "unknown fault `nothing`",
        "`internal` is a base fault",
    ] == sorted(
        texts(loaded.problems),
        key=["unknown fault `b`", "unknown fault `a`", "unknown fault `nothing`", "`internal` is a base fault"].index,
    )
    assert not {"a", "b", "c"} & set(loaded.rules.faults)


SAMPLES = [HERE / "packs/acme.yaml", HERE / "packs/acme.cases.yaml", HERE / "library/dialects/strict.yaml"]
INSERTED = ["", "[", "{", "}", ": ", "- ", "'", "&a ", "*a ", "null", "5", "\n", "  ", "x"]


@st.composite
def damaged(draw: st.DrawFn) -> tuple[str, str]:
    """One of the samples, cut and pasted into at a few places."""
    path = draw(st.sampled_from(SAMPLES))
    text = path.read_text(encoding="utf-8")
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(INSERTED)) + text[at + draw(st.integers(0, 12)) :]
    return path.name, text


@given(damaged())
def test_no_file_makes_loading_raise_anything_else(
    tmp_path_factory: pytest.TempPathFactory, file: tuple[str, str]
) -> None:
    name, text = file
    path = tmp_path_factory.getbasetemp() / name
    path.write_text(text, encoding="utf-8")
    if name.endswith(".cases.yaml"):
        findings: Any = read_cases(path, gather([HERE / "packs/acme.yaml"], library=HERE / "library")).document.findings
    else:
        loaded = gather([path], library=HERE / "library")
        findings = loaded.problems
        assert all(loaded.rules.faults.base(fault) for fault in loaded.rules.faults)
        loaded.rules.classify(Evidence(Phase.RESPONSE, status=500, body=b"queue is full"))

    assert all(finding.line >= 1 for finding in findings)
