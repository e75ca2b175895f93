"""Findings and results as other programs read them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.rulefile import report
from postel.rulefile.cases import Result
from postel.rulefile.finding import Finding

HERE = Path.cwd()
WRONG = Finding(HERE / "rules/a,b.yaml", 4, 9, "unknown fault `x`", "50 % of what you\nmeant")
ODD = Finding(HERE / "rules/c.yaml", 7, 3, "rule `c-x` has no case", severity="warning")
PLACELESS = Finding(Path("packs"), 0, 0, "there is no pack `d`")


def test_github_gets_a_workflow_command_for_each_finding() -> None:
    assert [
        "::error file=rules/a%2Cb.yaml,line=4,col=9::unknown fault `x`, 50 %25 of what you%0Ameant",
        "::warning file=rules/c.yaml,line=7,col=3::rule `c-x` has no case",
        "::error file=packs::there is no pack `d`",
    ] == list(report.github([WRONG, ODD, PLACELESS]))


def test_sarif_has_a_result_with_level_text_and_place_for_each_finding() -> None:
    log = json.loads(report.sarif([WRONG, ODD, PLACELESS], "1.2.3"))

    assert "2.1.0" == log["version"]
    (run,) = log["runs"]
    assert ("postel check", "1.2.3") == (run["tool"]["driver"]["name"], run["tool"]["driver"]["version"])
    assert ["error", "warning", "error"] == [result["level"] for result in run["results"]]
    first, _, last = run["results"]
    assert "unknown fault `x`, 50 % of what you\nmeant" == first["message"]["text"]
    place = first["locations"][0]["physicalLocation"]
    assert {"uri": "rules/a%2Cb.yaml"} == place["artifactLocation"]
    assert {"startLine": 4, "startColumn": 9} == place["region"]
    assert "region" not in last["locations"][0]["physicalLocation"], "line 0 is no place"


def test_junit_has_a_suite_for_each_file_and_a_failure_with_its_reasons() -> None:
    results = [
        Result(HERE / "a.cases.yaml", 3, 1, "busy", "passed"),
        Result(HERE / "a.cases.yaml", 9, 1, 'says "<no>" & \x1b', "failed", ('rule: expected "a", got "b"',)),
        Result(HERE / "b.cases.yaml", 3, 1, "idle", "passed"),
    ]
    root = ET.fromstring(report.junit(results))

    assert ("3", "1") == (root.get("tests"), root.get("failures"))
    assert [("a.cases.yaml", "2", "1"), ("b.cases.yaml", "1", "0")] == [
        (suite.get("name"), suite.get("tests"), suite.get("failures")) for suite in root
    ]
    case = root[0][1]
    assert ('says "<no>" & \ufffd', "9") == (case.get("name"), case.get("line"))
    assert 'rule: expected "a", got "b"' == case[0].get("message")
    assert "a.cases.yaml:9:1: failed" in (case[0].text or "")


@pytest.mark.parametrize("name", ["\ud800", "\x00", "\ufffe", "😀\n\t"])
def test_no_name_makes_junit_unreadable(name: str) -> None:
    assert ET.fromstring(report.junit([Result(HERE / "a.yaml", 1, 1, name, "failed", (name,))])) is not None


@given(st.text(), st.text())
def test_whatever_a_case_is_called_the_report_can_be_parsed(name: str, reason: str) -> None:
    root = ET.fromstring(report.junit([Result(HERE / "a.yaml", 1, 1, name, "failed", (reason,))]).encode())

    assert "1" == root.get("failures")
