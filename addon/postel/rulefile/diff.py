"""`postel diff OLD NEW`: which verdicts of recorded failures a change of the rules alters.

Owns the comparison of two rule sets over one set of cases: what a client would be told before and after. What a case
expects is not asked. Called by `cli`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from postel.core.normalise import Normaliser
from postel.core.render import Reply
from postel.rulefile.case_schema import Case
from postel.rulefile.casefile import CaseBook, read_cases
from postel.rulefile.cases import Progress
from postel.rulefile.check import Survey, survey
from postel.rulefile.finding import RuleFileError
from postel.rulefile.library import cases_of, is_library
from postel.rulefile.load import Loaded
from postel.rulefile.play import play


@dataclass(frozen=True, slots=True)
class Told:
    """What a client is told of one case. All None: the answer passes as it is."""

    fault: str | None = None
    rule: str | None = None
    status: int | None = None
    code: str | None = None
    param: str | None = None
    retry_after: int | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One case that is told differently. `old` or `new` is None where the case names a pack or dialect not there."""

    path: Path
    line: int
    name: str
    old: Told | None
    new: Told | None

    def lines(self) -> Iterator[str]:
        """For people: the place, and each field that differs."""
        yield f"{self.path}:{self.line}: {self.name}"
        if self.old is None or self.new is None:
            yield f"    cannot be played with the {'old' if self.old is None else 'new'} rules"
            return
        for name in Told.__dataclass_fields__:
            before, after = getattr(self.old, name), getattr(self.new, name)
            if before != after:
                yield f"    {name}: {_shown(before)} -> {_shown(after)}"


def _shown(value: object) -> str:
    return "none" if value is None else f'"{value}"' if isinstance(value, str) and " " in value else str(value)


def surveyed(path: Path) -> Survey:
    """The rules at `path`: a whole library, or a pack or folder that stands before the built-in one."""
    return survey([], path) if is_library(path) else survey([path])


def played_cases(surveys: Iterable[Survey], files: Iterable[Path]) -> tuple[CaseBook, ...]:
    """The cases of every pack on either side and of `files`; of those with one pack and name, the last side's.

    Raises RuleFileError for a file that cannot be read.
    """
    beside = [cases_of(each.document.path) for found in surveys for each in found.loaded.packs]
    paths = {path.resolve(): path for path in (*beside, *files) if path.exists()}
    books = [read_cases(path, None) for path in paths.values()]
    if errors := [finding for book in books for finding in book.document.errors]:
        raise RuleFileError(errors)
    last = {(book.pack, case.name): book for book in books for case in book.cases}
    return tuple(
        replace(book, cases=tuple(case for case in book.cases if last[book.pack, case.name] is book)) for book in books
    )


def diff(
    old: Loaded, new: Loaded, books: Iterable[CaseBook], *, words: bool = False, progress: Progress | None = None
) -> tuple[int, tuple[Change, ...]]:
    """How many cases were played, and those that are told differently; with `words`, other messages count too."""
    cases = [(book.document.path, case) for book in books for case in book.cases]
    changes: list[Change] = []
    for done, (path, case) in enumerate(cases, 1):
        before, after = _told(case, old, words=words), _told(case, new, words=words)
        if before != after:
            changes.append(Change(path, case.value_mark("name").line, case.name, before, after))
        if progress:
            progress(done, len(cases))
    return len(cases), tuple(changes)


def _told(case: Case, loaded: Loaded, *, words: bool) -> Told | None:
    settings = case.given.settings
    names = {each.pack.name for each in loaded.packs}
    if settings.dialect not in loaded.dialects or not names.issuperset(settings.packs or ()):
        return None
    rules = loaded.rules.keeping(settings.packs)
    reply: Reply | None = play(case.given, Normaliser(rules, loaded.dialects[settings.dialect])).reply
    if reply is None:
        return Told()
    message = reply.message if words else None
    return Told(reply.fault, reply.rule, reply.status, reply.code, reply.param, reply.retry_after, message)
