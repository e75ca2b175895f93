from pathlib import Path
from typing import Any

from postel.core.dialect import KEYS
from postel.core.fault import BASE, FaultRow, Faults
from postel.rulefile.dialect_schema import DialectFile
from postel.rulefile.dialects import DialectSource, merge
from postel.rulefile.document import Document

FAULTS = Faults({**BASE, "tier_not_allowed": FaultRow(), "gpu_quota": FaultRow()}, {"gpu_quota": "quota_exhausted"})


def source(path: Path) -> DialectSource:
    document = Document(path)
    file = document.validate(DialectFile)
    assert file is not None
    return DialectSource(document, file)


def written(write: Any, **texts: str) -> list[DialectSource]:
    return [source(write(f"{name}.yaml", f"version: 1\ndialect: {name}\n{text}\n")) for name, text in texts.items()]


def findings(sources: list[DialectSource]) -> list[str]:
    return [finding.text for source in sources for finding in source.document.findings]


def test_what_a_child_says_is_nearer_field_by_field(write: Any) -> None:
    sources = written(
        write,
        base="faults: {internal: {status: 500, code: internal_error, retry_after: 9s}, overloaded: {code: busy}}",
        child="inherits: base\nfaults: {internal: {status: 502, retry_after: 0s}, gpu_quota: {code: gpu}}",
    )
    child = merge(sources, FAULTS)["child"]

    assert [] == findings(sources)
    assert FaultRow(status=502, code="internal_error", retry_after=0) == child.rows["internal"]
    assert FaultRow(code="busy") == child.rows["overloaded"]
    assert FaultRow(code="gpu") == child.rows["gpu_quota"]


def test_codes_that_are_kept_add_up(write: Any) -> None:
    sources = written(
        write,
        base="keep_codes: {invalid_parameter: [a], internal: [b]}",
        middle="inherits: base\nkeep_codes: [x]",
        child="inherits: middle\nkeep_codes: {invalid_parameter: [c]}",
    )
    child = merge(sources, FAULTS)["child"]

    assert {"x"} == child.keep_codes
    assert {"invalid_parameter": {"a", "c"}, "internal": {"b"}} == child.keep_codes_of


def test_a_code_that_is_said_is_nearer_than_those_that_parents_keep(write: Any) -> None:
    sources = written(
        write,
        base="keep_codes: {invalid_parameter: [a], internal: [b]}",
        child="inherits: base\nfaults: {invalid_parameter: {code: bad_request}, internal: {status: 502}}",
        other="inherits: base\nkeep_codes: {invalid_parameter: [c]}\nfaults: {invalid_parameter: {code: bad_request}}",
    )
    dialects = merge(sources, FAULTS)

    assert {"internal": {"b"}} == dialects["child"].keep_codes_of
    assert {"internal": {"b"}, "invalid_parameter": {"c"}} == dialects["other"].keep_codes_of


def test_the_shape_is_inherited_key_by_key(write: Any) -> None:
    sources = written(
        write,
        plain="",
        base="envelope: problem\nstream_type: engine_error",
        child="inherits: base\ntype_uri: 'tag:acme,2026:{code}'",
        other="inherits: child\nenvelope: openai\nstream_type: other",
    )
    dialects = merge(sources, FAULTS)

    assert [] == findings(sources)
    assert {
        "plain": ("openai", "about:blank", None),
        "base": ("problem", "about:blank", "engine_error"),
        "child": ("problem", "tag:acme,2026:{code}", "engine_error"),
        "other": ("openai", "tag:acme,2026:{code}", "other"),
    } == {name: (each.envelope, each.type_uri, each.stream_type) for name, each in dialects.items()}


def test_what_messages_must_not_lack_is_replaced_fault_by_fault(write: Any) -> None:
    sources = written(
        write,
        base="says: {internal: [{unless: a, add: a}], overloaded: [{unless: b, add: b}]}",
        child="inherits: base\nsays: {internal: [{unless: c, add: c}], overloaded: []}",
    )
    child = merge(sources, FAULTS)["child"]

    assert {"internal": ["c"], "overloaded": []} == {
        fault: [addition.add for addition in additions] for fault, additions in child.says.items()
    }


def test_the_order_of_keys_is_inherited_unless_said_anew(write: Any) -> None:
    sources = written(
        write, plain="", base="keys: [code, message]", child="inherits: base", own="inherits: base\nkeys: [type]"
    )
    dialects = merge(sources, FAULTS)

    assert [KEYS, ("code", "message"), ("code", "message"), ("type",)] == [
        dialect.keys for dialect in dialects.values()
    ]


def test_finer_faults_of_parents_are_the_childs_too(library: Path) -> None:
    sources = [source(library / "dialects" / f"{name}.yaml") for name in ("strict", "openai")]

    assert {"tier_not_allowed": "permission_denied"} == merge(sources, FAULTS)["strict"].parents


def test_a_dialect_that_cannot_be_used_is_left_out_and_so_are_its_children(write: Any) -> None:
    sources = written(
        write,
        lost="inherits: nobody",
        child="inherits: lost",
        one="inherits: two",
        two="inherits: one",
        odd="faults: {intrnal: {status: 500}}\nkeep_codes: {over: [x]}\nkeys: [code, code]\nsays: {unter: []}",
        unsaid="says: {internal: [{unless: a, add: b}]}",
        nowhere="type_uri: tag:acme",
        fine="",
    )

    assert ["fine"] == list(merge(sources, FAULTS))
    assert {
        "there is no dialect `nobody`",
        "`two` inherits from itself",
        "`one` inherits from itself",
        "unknown fault `intrnal`",
        "unknown fault `over`",
        "unknown fault `unter`",
        "`unless` does not find this sentence",
        "an error in the envelope `openai` has no URI",
        "`code` is there twice",
    } == set(findings(sources))


def test_a_name_is_taken_once(write: Any, tmp_path: Path) -> None:
    first, second = (source(write(name, "version: 1\ndialect: same\n")) for name in ("a.yaml", "b.yaml"))

    assert ["same"] == list(merge([first, second], FAULTS))
    assert [f"{tmp_path}/b.yaml:2:10: dialect `same` is there twice, also in {tmp_path}/a.yaml"] == [
        str(finding) for finding in second.document.findings
    ]
