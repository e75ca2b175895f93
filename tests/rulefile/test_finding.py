from pathlib import Path

import pytest

from postel.rulefile.finding import Finding, RuleFileError, did_you_mean

PATH = Path("rules/acme.yaml")


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        (Finding(PATH, 4, 11, "unknown key `a`", "mend it"), "rules/acme.yaml:4:11: unknown key `a`, mend it"),
        (Finding(PATH, 1, 1, "the file is empty"), "rules/acme.yaml:1:1: the file is empty"),
        (Finding(Path("packs"), 0, 0, "there is no pack `x`"), "packs: there is no pack `x`"),
    ],
)  # fmt: skip
def test_a_finding_is_one_line_with_its_place(finding: Finding, line: str) -> None:
    assert line == str(finding)


def test_an_error_carries_every_finding_a_line_each() -> None:
    findings = [Finding(PATH, 1, 1, "a"), Finding(PATH, 2, 1, "b")]

    assert "rules/acme.yaml:1:1: a\nrules/acme.yaml:2:1: b" == str(RuleFileError(findings))


def test_advice_names_the_nearest_word_or_all_of_them() -> None:
    assert "did you mean `message`?" == did_you_mean("mesage", ["method", "message"])
    assert "there are method, message" == did_you_mean("xyz", ["method", "message"])
    assert "declare it" == did_you_mean("xyz", ["method"], "declare it")
