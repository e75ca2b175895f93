from pathlib import Path
from typing import Any

from postel.rulefile.casefile import read_cases, unproved
from postel.rulefile.load import gather

CASES = "version: 1\npack: acme\ncases:\n"


def test_cases_are_read_against_what_is_loaded(library: Path, acme: Path) -> None:
    book = read_cases(acme.with_name("acme.cases.yaml"), gather([acme], library=library))

    assert [] == book.document.findings
    assert ("acme", 14) == (book.pack, len(book.cases))


def test_names_that_nothing_has_are_told(library: Path, acme: Path, write: Any) -> None:
    path = write(
        "x.cases.yaml",
        CASES
        + "- {name: a, given: {status: 500}, expect: {fault: internal}}\n"
        + "- {name: a, given: {status: 500}, expect: {fault: intrnal, rule: acme-bsy, not: [acme-busy, acme-y]}}\n"
        + "- {name: b, given: {status: 500, settings: {dialect: x, packs: [beta, y]}}, expect: {fault: null}}\n",
    )
    book = read_cases(path, gather([acme], library=library))

    assert ["a"] == [case.name for case in book.cases]
    assert [
        (5, "case `a` is there twice"),
        (5, "there is no fault `intrnal`"),
        (5, "there is no rule `acme-bsy`"),
        (5, "there is no rule `acme-y`"),
        (6, "there is no dialect `x`"),
        (6, "there is no pack `y`"),
    ] == [(finding.line, finding.text) for finding in book.document.findings]


def test_cases_of_a_pack_that_is_not_loaded_are_told(library: Path, write: Any) -> None:
    book = read_cases(write("x.cases.yaml", "version: 1\npack: acme\ncases: []\n"), gather(library=library))

    assert ["there is no pack `acme`"] == [finding.text for finding in book.document.findings]


def test_a_case_with_a_mistake_is_not_run(library: Path, acme: Path, write: Any) -> None:
    path = write(
        "x.cases.yaml", CASES + "- {name: a, given: {status: 500, headers: {a: {}}}, expect: {fault: internal}}\n"
    )

    assert () == read_cases(path, gather([acme], library=library)).cases


def test_rules_without_their_cases_are_errors_in_the_library_and_warnings_elsewhere(library: Path, acme: Path) -> None:
    packs = {compiled.pack.name: compiled for compiled in gather([acme], library=library).packs}

    assert [
        ("warning", "acme.yaml", "rule `acme-context-length` has no case"),
        ("warning", "acme.yaml", "rule `acme-context-length` has no case that it must not match"),
        ("warning", "acme.yaml", "rule `acme-gpu-quota` has no case"),
    ] == [(finding.severity, finding.path.name, finding.text) for finding in unproved(packs["acme"], [])][:3]
    assert {"error"} == {finding.severity for finding in unproved(packs["beta"], [])}


def test_what_the_cases_name_is_proved(library: Path) -> None:
    loaded = gather(library=library)
    (beta,) = [compiled for compiled in loaded.packs if compiled.pack.name == "beta"]
    book = read_cases(library / "engines" / "beta.cases.yaml", loaded)

    assert [] == list(unproved(beta, book.cases))
    (finding,) = unproved(beta, [case for case in book.cases if case.name != "not loading"])
    assert (5, 9, "rule `beta-loading` has no case that it must not match") == (
        finding.line,
        finding.column,
        finding.text,
    )
    assert "add one to beta.cases.yaml with it under `not`" == finding.advice
