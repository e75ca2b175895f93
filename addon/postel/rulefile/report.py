"""Findings and results in the forms that other programs read.

Owns GitHub's workflow commands, SARIF 2.1.0 and JUnit XML. Judges nothing. Called by `cli`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

from postel.rulefile.cases import Result
from postel.rulefile.finding import Finding

_SARIF = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def github(findings: Sequence[Finding]) -> Iterator[str]:
    """A workflow command for each finding: an annotation at its line of the pull request."""
    for finding in findings:
        place = {"file": _relative(finding.path)}
        if finding.line:
            place |= {"line": str(finding.line), "col": str(finding.column)}
        properties = ",".join(f"{name}={_property(value)}" for name, value in place.items())
        yield f"::{finding.severity} {properties}::{_data(finding.said)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def sarif(findings: Sequence[Finding], version: str) -> str:
    """The findings as a SARIF log, for code scanning."""
    log = {
        "$schema": _SARIF,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "postel check", "version": version, "rules": []}},
                "columnKind": "unicodeCodePoints",
                "results": [_sarif_result(finding) for finding in findings],
            }
        ],
    }
    return json.dumps(log, indent=2, ensure_ascii=False)


def _sarif_result(finding: Finding) -> dict[str, object]:
    location: dict[str, object] = {"artifactLocation": {"uri": quote(_relative(finding.path))}}
    if finding.line:
        location["region"] = {"startLine": finding.line, "startColumn": finding.column}
    return {
        "level": finding.severity,
        "message": {"text": finding.said},
        "locations": [{"physicalLocation": location}],
    }


def junit(results: Sequence[Result]) -> str:
    """The results as JUnit XML, a suite for each case file."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f"<testsuites {_counts(results)}>"]
    for path, group in groupby(results, lambda result: result.path):
        suite = list(group)
        name = quoteattr(_relative(path))
        lines.append(f"  <testsuite name={name} {_counts(suite)}>")
        for result in suite:
            head = f"    <testcase classname={name} name={_attribute(result.name)} line={quoteattr(str(result.line))}"
            if result.outcome == "passed":
                lines.append(f"{head}/>")
                continue
            message = _attribute(result.reasons[0] if result.reasons else "")
            lines += [
                f"{head}>",
                f"      <failure message={message}>{_text(str(result))}</failure>",
                "    </testcase>",
            ]
        lines.append("  </testsuite>")
    return "\n".join([*lines, "</testsuites>", ""])


def _counts(results: Sequence[Result]) -> str:
    return f'tests="{len(results)}" failures="{sum(result.outcome == "failed" for result in results)}"'


def _text(text: str) -> str:
    return escape(_printable(text))


def _attribute(text: str) -> str:
    return quoteattr(_printable(text), {"\n": "&#10;"})


def _printable(text: str) -> str:
    """Without what XML 1.0 cannot say at all, not even as a reference."""
    return "".join(
        c if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff" else "\ufffd"
        for c in text
    )


def _relative(path: Path) -> str:
    """As seen from where the command runs, which is what all three readers expect."""
    inside = path.resolve()
    return (inside.relative_to(Path.cwd()) if inside.is_relative_to(Path.cwd()) else path).as_posix()
