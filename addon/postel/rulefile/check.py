"""`postel check`: everything that is wrong with rule files, and every rule that no case proves.

Owns which files belong to the question: the paths given, the cases beside them, or the whole built-in library. Called
by `cli`; `cases` runs what `survey` finds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from postel.core.rules import SELECTABLE
from postel.rulefile.casefile import CaseBook, read_cases, unproved
from postel.rulefile.compiling import CompiledPack
from postel.rulefile.finding import Finding
from postel.rulefile.library import CASES, cases_of, library_path
from postel.rulefile.lint import hidden
from postel.rulefile.load import Loaded, gather
from postel.rulefile.schema import PackFile


@dataclass(frozen=True, slots=True)
class Survey:
    """What was loaded, the case files that belong to the paths asked for, and everything wrong with either."""

    loaded: Loaded
    books: tuple[CaseBook, ...]
    findings: tuple[Finding, ...]


def check(paths: Sequence[Path] = (), library: Path | None = None) -> tuple[Finding, ...]:
    """The findings for these paths, by place; without paths, for the built-in library."""
    return survey(paths, library).findings


def survey(paths: Sequence[Path] = (), library: Path | None = None) -> Survey:
    """Load what the paths stand for on top of the library, and read the cases."""
    library = library or library_path()
    packs = [_pack_of(path) for path in paths]
    loaded = gather([path for path in packs if not _inside(path, library)], library=library)
    chosen = [
        compiled
        for compiled in loaded.packs
        if not paths or any(_inside(compiled.document.path, path) for path in packs)
    ]
    files = [cases_of(compiled.document.path) for compiled in chosen]
    files += [path for path in paths if path.name.endswith(CASES)]
    books = [read_cases(path, loaded) for path in {path.resolve(): path for path in files}.values() if path.exists()]

    findings = [finding for finding in loaded.problems if not paths or _concerns(finding, packs)]
    findings += (finding for book in books for finding in book.document.findings)
    for compiled in chosen:
        cases = [case for book in books if book.pack == compiled.pack.name for case in book.cases]
        findings += unproved(compiled, cases)
        findings += _hidden(compiled, loaded)
        findings += _sourceless(compiled, loaded.files[compiled.pack.name])
    ordered = sorted(set(findings), key=lambda finding: (str(finding.path), finding.line, finding.column, finding.text))
    return Survey(loaded, tuple(books), tuple(ordered))


def _sourceless(compiled: CompiledPack, file: PackFile) -> Iterator[Finding]:
    """Rules of a built-in system that do not say where the bytes were seen; what many say alike has no one source."""
    for entry in file.rules:
        if not entry.source and compiled.pack.group in SELECTABLE:
            mark = compiled.marks[entry.id]
            text, advice = (
                f"rule `{entry.id}` has no source",
                "say where the bytes were seen: repository, file, version",
            )
            yield Finding(compiled.document.path, mark.line, mark.column, text, advice)


def _hidden(compiled: CompiledPack, loaded: Loaded) -> Iterator[Finding]:
    """Rules that another pack, asked before this one, never lets win."""
    homes = {each.pack.name: each for each in loaded.packs}
    for later, earlier in hidden(loaded.rules.asked, compiled.pack.name):
        mark, there = compiled.marks[later.id], homes[earlier.pack]
        where = f"{there.document.path}:{there.marks[earlier.id].line}"
        text = f"rule `{later.id}` never wins: `{earlier.id}` of pack `{earlier.pack}` is asked first and hides it"
        advice = f"narrow that one, or `disable` it; it stands at {where}"
        yield Finding(compiled.document.path, mark.line, mark.column, text, advice)


def _pack_of(path: Path) -> Path:
    """The pack that a path is about: its own, or the one whose cases it holds."""
    if not path.name.endswith(CASES):
        return path
    stem = path.name.removesuffix(CASES)
    beside = [path.with_name(stem + suffix) for suffix in (".yaml", ".yml")]
    return next((pack for pack in beside if pack.exists()), beside[0])


def _inside(path: Path, folder: Path) -> bool:
    return path.resolve().is_relative_to(folder.resolve())


def _concerns(finding: Finding, paths: Sequence[Path]) -> bool:
    """A warning about another file is somebody else's; an error there spoils the question."""
    return finding.severity == "error" or any(_inside(finding.path, path) for path in paths)
