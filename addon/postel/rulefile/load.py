"""Files and folders into one rule set and its dialects.

Owns what is read in which order, what may not be there twice, and what happens to a file that is wrong. Called by `run`
and every verb of `cli`; `check` and `cases` stand on `gather`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from postel.core.dialect import Dialect
from postel.core.fault import BASE, FaultRow, Faults
from postel.core.rules import SELECTABLE, RuleGroup, RuleSet
from postel.rulefile import yaml
from postel.rulefile.compiling import CompiledPack, compile_pack
from postel.rulefile.dialect_schema import DialectFile
from postel.rulefile.dialects import DialectSource, merge
from postel.rulefile.document import Document
from postel.rulefile.finding import Finding, RuleFileError, did_you_mean
from postel.rulefile.library import library_files, library_path, rule_files
from postel.rulefile.schema import PackFile


@dataclass(frozen=True, slots=True)
class Loaded:
    """What can be used, and everything that was wrong: `problems` holds what was left out and why, and warnings."""

    rules: RuleSet
    dialects: Mapping[str, Dialect]
    problems: tuple[Finding, ...]
    packs: tuple[CompiledPack, ...]
    files: Mapping[str, PackFile]
    dialect_files: Mapping[str, DialectFile]
    """What people are told of packs and dialects, by name; empty for packs if they were loaded `lean`."""


def load_rules(
    user_paths: Sequence[Path] = (),
    *,
    packs: Sequence[str] | None = None,
    library: Path | None = None,
    skip_invalid: bool = False,
    lean: bool = False,
) -> Loaded:
    """The user's files and folders before the built-in library.

    `packs` keeps of engines, providers and proxies only those, in that order. Raises RuleFileError with every error of
    every file; with `skip_invalid` the user's broken files are left out instead, and `problems` says so. `lean` keeps
    only what serving needs: the text of a thousand rules is 15 MiB of memory.
    """
    loaded = gather(user_paths, packs=packs, library=library, lean=lean)
    builtin = library or library_path()
    errors = [finding for finding in loaded.problems if finding.severity == "error"]
    if skip_invalid:
        errors = [finding for finding in errors if finding.path.is_relative_to(builtin)]
    if errors:
        raise RuleFileError(errors)
    return loaded


def gather(
    user_paths: Sequence[Path] = (),
    *,
    packs: Sequence[str] | None = None,
    library: Path | None = None,
    lean: bool = False,
) -> Loaded:
    """As `load_rules`, but never raises: what is wrong is left out, and in `problems`."""
    problems: list[Finding] = []
    shelf = _Shelf(lean=lean)
    # The user's second, although they are asked first: where two clash, the user's file is the one to mend.
    batches = (
        _Batch(library_files(library or library_path())),
        _Batch((path, "user") for path in _user_files(user_paths, problems)),
    )
    for batch in batches:
        for document in batch.dialects():
            shelf.add_dialect(document)
        shelf.add_finer_faults()
        for document, group in batch.packs():
            shelf.add_pack(document, group)
    shelf.check_disabled()
    faults = Faults(shelf.rows, shelf.parents)
    dialects = merge(shelf.dialects, faults)

    for document in (document for batch in batches for document in batch.documents):
        problems += sorted(document.findings, key=lambda finding: (finding.line, finding.column))
    problems += _unknown_packs(packs or (), shelf.packs)
    rules = RuleSet([compiled.pack for compiled in shelf.packs], faults, packs)
    files = {source.file.dialect: source.file for source in shelf.dialects if source.file.dialect in dialects}
    return Loaded(rules, dialects, tuple(problems), tuple(shelf.packs), shelf.files, files)


def _user_files(paths: Sequence[Path], problems: list[Finding]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = rule_files(path)
            if not inside:
                problems.append(Finding(path, 0, 0, "no rule file in this folder", "they end in .yaml; is it mounted?"))
            files += inside
        elif path.exists():
            files.append(path)
        else:
            problems.append(Finding(path, 0, 0, "no such file or folder", "look at the path"))
    return list({path.resolve(): path for path in reversed(files)}.values())[::-1]


class _Batch:
    """Files in their order, each read when it is wanted: dialects first, then packs."""

    def __init__(self, files: Iterable[tuple[Path, RuleGroup | None]]) -> None:
        self._files = list(files)
        self._read: dict[Path, Document] = {}

    def dialects(self) -> Iterator[Document]:
        """In the library by the folder; a user's file by what it says it is."""
        for path, group in self._files:
            if group is None or (group == "user" and self._says_dialect(path)):
                yield self._document(path)

    def packs(self) -> Iterator[tuple[Document, RuleGroup]]:
        for path, group in self._files:
            if group is not None and not (group == "user" and self._says_dialect(path)):
                yield self._document(path), group

    @property
    def documents(self) -> Iterator[Document]:
        """Those that were read, in the order of the files."""
        return (self._read[path] for path, _ in self._files)

    def _document(self, path: Path) -> Document:
        if path not in self._read:
            self._read[path] = Document(path)
        return self._read[path]

    def _says_dialect(self, path: Path) -> bool:
        tree = self._document(path).tree
        return isinstance(tree, yaml.Map) and "dialect" in tree


class _Shelf:
    """What fits together; a file that clashes with an earlier one is left out, with a finding.

    `rows` and `parents` are sound at any time: every fault in them leads to a base fault.
    """

    def __init__(self, *, lean: bool = False) -> None:
        self.lean = lean
        self.packs: list[CompiledPack] = []
        self.files: dict[str, PackFile] = {}
        self.dialects: list[DialectSource] = []
        self.rows: dict[str, FaultRow] = dict(BASE)
        self.parents: dict[str, str] = {}
        self._told: set[str] = set()
        """Finer faults that a dialect adds, which any pack may name."""

    def add_dialect(self, document: Document) -> None:
        file = document.validate(DialectFile)
        if file is not None:
            self.dialects.append(DialectSource(document, file))

    def add_finer_faults(self) -> None:
        """What dialects add, parents before children."""
        entries = [
            (source, name, entry, entry.is_)
            for source in self.dialects
            for name, entry in source.file.faults.items()
            if entry.is_ is not None and name not in self._told
        ]
        while ready := [found for found in entries if found[3] in self.rows]:
            for source, name, entry, parent in ready:
                if name in BASE or self.parents.get(name, parent) != parent:
                    known = f"is a finer {self.parents[name]}" if name in self.parents else "is a base fault"
                    source.document.say(
                        entry.value_mark("is"), f"`{name}` {known}", "leave `is` out, or rename the fault"
                    )
                else:
                    self.rows.setdefault(name, FaultRow())
                    self.parents[name] = parent
                    self._told.add(name)
            entries = [found for found in entries if found not in ready]
        for source, _, entry, parent in entries:
            advice = did_you_mean(parent, self.rows, "use a base fault")
            source.document.say(entry.value_mark("is"), f"unknown fault `{parent}`", advice)

    def add_pack(self, document: Document, group: RuleGroup) -> None:
        file = document.validate(PackFile)
        if file is None:
            return
        compiled = compile_pack(document, file, group, self._told)
        for earlier in self.packs:
            self._compare(compiled, earlier)
        for fault in compiled.parents.keys() & self._told:
            if compiled.parents[fault] != self.parents[fault]:
                mark = compiled.fault_marks[fault]
                document.say(mark, f"a dialect has `{fault}` as a finer {self.parents[fault]}", "agree, or rename it")
        if not document.errors:
            self.packs.append(compiled)
            self.rows.update(compiled.rows)
            self.parents.update(compiled.parents)
            if not self.lean:
                self.files[compiled.pack.name] = file
        if self.lean:
            document.forget()

    def _compare(self, new: CompiledPack, earlier: CompiledPack) -> None:
        where = earlier.document.path
        if new.pack.name == earlier.pack.name:
            new.document.say(
                new.mark, f"pack `{new.pack.name}` is there twice", f"also in {where}; choose another name"
            )
        for rule in new.marks.keys() & earlier.marks.keys():
            new.document.say(new.marks[rule], f"rule `{rule}` is there twice", f"also in {where}; choose another name")
        for fault in new.rows.keys() & earlier.rows.keys():
            if (new.rows[fault], new.parents[fault]) != (earlier.rows[fault], earlier.parents[fault]):
                mark = new.fault_marks[fault]
                new.document.say(
                    mark, f"fault `{fault}` says something else in {where}", "make them equal, or rename one"
                )

    def check_disabled(self) -> None:
        known = {rule for compiled in self.packs for rule in compiled.marks}
        for compiled in self.packs:
            for rule, mark in compiled.disabled.items():
                if rule not in known:
                    advice = did_you_mean(rule, known, "it disables nothing; remove it")
                    compiled.document.say(mark, f"there is no rule `{rule}`", advice, "warning")


def _unknown_packs(names: Sequence[str], packs: Sequence[CompiledPack]) -> Iterable[Finding]:
    known = [compiled.pack.name for compiled in packs]
    choice = [compiled.pack.name for compiled in packs if compiled.pack.group in SELECTABLE]
    for name in names:
        if name not in known:
            yield Finding(Path("packs"), 0, 0, f"there is no pack `{name}`", did_you_mean(name, choice))
