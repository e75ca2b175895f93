"""What is wrong with a file, and where.

Owns the one form in which every mistake of a user is told: `path:line:column: what, how to mend`. Knows no grammar.
Called by everything in `rulefile`; printed by `cli`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Literal

from pydantic_core import PydanticCustomError

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file; the first line and column are 1, columns are characters."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake. An `error` makes a file unusable; a `warning` is what `check` says beyond that.

    Line 0: there is no place, because `path` is the name of a setting or a folder.
    """

    path: Path
    line: int
    column: int
    text: str
    advice: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}:{self.column}" if self.line else f"{self.path}"
        return f"{where}: {self.severity}: {self.said}" if self.severity == "warning" else f"{where}: {self.said}"

    @property
    def said(self) -> str:
        """What is wrong and how to mend it, without the place."""
        return f"{self.text}, {self.advice}" if self.advice else self.text


class RuleFileError(Exception):
    """Files that cannot be used, with everything that is wrong with them; one finding a line."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        super().__init__("\n".join(map(str, self.findings)))


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake inside one value, before its place in the file is known: `loc` leads there from the value."""

    text: str
    advice: str = ""
    loc: tuple[str | int, ...] = ()


def refusal(problems: Iterable[Problem]) -> PydanticCustomError:
    """Several problems as the one error that a pydantic validator may raise."""
    return PydanticCustomError("problems", "not valid", {"problems": tuple(problems)})


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """Advice for a name that nobody knows."""
    known = list(known)
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean `{close[0]}`?"
    return otherwise or f"there are {', '.join(known)}"
