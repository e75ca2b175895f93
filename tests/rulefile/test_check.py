from pathlib import Path
from typing import Any

from postel.rulefile.check import check, survey

PACK = "version: 1\npack: own\nrules: [{id: own-x, when: {status: 500, message: ^x}, then: {fault: internal}}]\n"


def told(findings: Any) -> list[tuple[str, str]]:
    return [(finding.severity, finding.text) for finding in findings]


def test_a_sound_pack_with_its_cases_has_no_findings(library: Path, acme: Path) -> None:
    assert () == check([acme], library)


def test_the_whole_library_is_checked_without_paths(library: Path) -> None:
    findings = check(library=library)

    assert {"error"} == {finding.severity for finding in findings}
    assert [
        "rule `alpha-busy` has no case",
        "rule `rest-limit` has no case",
        "rule `rest-any` has no case",
        "rule `cloud-teapot` has no case",
        "rule `edge-gateway` has no case",
        "rule `transport-any` has no case",
    ] == [finding.text for finding in findings]


def test_a_file_of_the_library_is_checked_where_it_is(library: Path) -> None:
    assert () == check([library / "engines" / "beta.yaml"], library)
    assert [("error", "rule `alpha-busy` has no case")] == told(check([library / "engines"], library))


def test_a_users_rules_need_cases_too_but_their_lack_is_a_warning(library: Path, write: Any) -> None:
    path = write("own.yaml", PACK)

    assert [
        ("warning", "rule `own-x` has no case"),
        ("warning", "rule `own-x` has no case that it must not match"),
    ] == told(check([path], library))


def test_cases_are_found_beside_the_rules_and_the_rules_beside_the_cases(library: Path, write: Any) -> None:
    path = write("own.yaml", PACK)
    cases = write(
        "own.cases.yaml",
        """
        version: 1
        pack: own
        cases:
          - {name: a, given: {status: 500, body: x}, expect: {rule: own-x}}
          - {name: b, given: {status: 500, body: y}, expect: {not: own-x, fault: intrnal}}
        """,
    )

    unknown = ("error", "there is no fault `intrnal`")
    assert {unknown, ("warning", "rule `own-x` has no case that it must not match")} == set(
        told(check([path], library))
    )
    assert check([path], library) == check([cases], library) == check([path.parent], library)
    assert [cases] == [book.document.path for book in survey([path, cases], library).books]


def test_warnings_about_other_files_are_left_to_them(library: Path, write: Any, acme: Path) -> None:
    other = write("own.yaml", PACK + "disable: [nothing-like-it]\n")

    assert () == check([acme], library)
    assert 3 == len(check([acme, other], library))


def test_errors_are_told_with_everything_else_and_in_order(library: Path, write: Any) -> None:
    path = write("own.yaml", PACK + "disable: [nothing-like-it]\nunheard: 1\n")

    assert [(5, "unknown key `unheard`")] == [(finding.line, finding.text) for finding in check([path], library)]
    assert ["no such file or folder"] == [finding.text for finding in check([path.with_name("none.yaml")], library)]


def test_a_rule_that_another_pack_never_lets_win_is_told_with_the_place_of_that(library: Path, write: Any) -> None:
    first = write("a.yaml", "version: 1\npack: a\nrules: [{id: a-x, when: {status: 5xx}, then: {fault: internal}}]\n")
    second = write(
        "b.yaml", "version: 1\npack: b\nrules: [{id: b-x, when: {status: 503}, then: {fault: overloaded}}]\n"
    )
    hides = [finding for finding in check([first, second], library) if "never wins" in finding.text]

    assert [second] == [finding.path for finding in hides]
    assert "rule `b-x` never wins: `a-x` of pack `a` is asked first and hides it" == hides[0].text
    assert f"it stands at {first}:3" in hides[0].advice
    assert () == tuple(f for f in check([second, first], library) if "never wins" in f.text), "the other way is sound"
