"""From dialect files to dialects of the core: one merged with everything that it inherits.

Owns the merging, and the mistakes that only show between files. Called by `load`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from postel.core.dialect import KEYS, Dialect
from postel.core.fault import FaultRow, Faults
from postel.rulefile.dialect_schema import DialectFile
from postel.rulefile.document import Document
from postel.rulefile.finding import did_you_mean


@dataclass(frozen=True, slots=True)
class DialectSource:
    """A dialect as written."""

    document: Document
    file: DialectFile


def merge(sources: Sequence[DialectSource], faults: Faults) -> dict[str, Dialect]:
    """Every dialect that is sound, by name; what is wrong goes to the documents' findings."""
    return _Merger(sources, faults).merged()


class _Merger:
    def __init__(self, sources: Sequence[DialectSource], faults: Faults) -> None:
        self.sources: dict[str, DialectSource] = {}
        self.faults = faults
        for source in sources:
            name = source.file.dialect
            if name in self.sources:
                first = self.sources[name].document.path
                source.document.say(
                    source.file.value_mark("dialect"), f"dialect `{name}` is there twice", f"also in {first}"
                )
            else:
                self.sources[name] = source

    def merged(self) -> dict[str, Dialect]:
        for source in self.sources.values():
            self._check(source)
        whole = {name: self._merge(name) for name in self.sources}
        return {name: dialect for name, dialect in whole.items() if dialect and not self._broken(name)}

    def _broken(self, name: str) -> bool:
        return bool(self.sources[name].document.errors)

    def _check(self, source: DialectSource) -> None:
        file, say = source.file, source.document.say
        for name, entry in file.faults.items():
            if entry.is_ is None and name not in self.faults:
                say(
                    file.key_mark("faults", name),
                    f"unknown fault `{name}`",
                    did_you_mean(name, self.faults, "say what it `is`"),
                )
        for fault in file.keep_codes if isinstance(file.keep_codes, dict) else ():
            if fault not in self.faults:
                say(file.key_mark("keep_codes", fault), f"unknown fault `{fault}`", did_you_mean(fault, self.faults))
        for fault, entries in file.says.items():
            if fault not in self.faults:
                say(file.key_mark("says", fault), f"unknown fault `{fault}`", did_you_mean(fault, self.faults))
            for said in entries:
                if not said.addition().is_in(said.add):
                    mark = said.value_mark("add")
                    say(mark, "`unless` does not find this sentence", "it would be added again: let one find it")
        for at, key in enumerate(file.keys or ()):
            if file.keys and key in file.keys[:at]:
                say(file.value_mark("keys", at), f"`{key}` is there twice", "keep one")

    def _merge(self, name: str, heirs: tuple[str, ...] = ()) -> Dialect | None:
        """The dialect with its parents; None if one of them cannot be used."""
        source = self.sources[name]
        file, parent = source.file, source.file.inherits
        base: Dialect | None = Dialect("")
        if parent is not None:
            mark = file.value_mark("inherits")
            if parent not in self.sources:
                source.document.say(mark, f"there is no dialect `{parent}`", did_you_mean(parent, self.sources))
                return None
            if parent in (name, *heirs):
                source.document.say(
                    mark, f"`{name}` inherits from itself", "end the line with a dialect that inherits none"
                )
                return None
            base = self._merge(parent, (*heirs, name))
        if base is None:
            return None
        own = {fault: entry.row() for fault, entry in file.faults.items()}
        kept = file.keep_codes
        envelope = file.envelope or base.envelope
        if file.type_uri and envelope != "problem":
            mark = file.key_mark("type_uri")
            source.document.say(mark, f"an error in the envelope `{envelope}` has no URI", "only a `problem` has one")
        # A code that is said here is nearer than those that were kept further away.
        far = {fault: codes for fault, codes in base.keep_codes_of.items() if not (own.get(fault) or _SILENT).code}
        return Dialect(
            name=name,
            rows={**base.rows, **{fault: _over(row, base.rows.get(fault)) for fault, row in own.items()}},
            parents={**base.parents, **{fault: entry.is_ for fault, entry in file.faults.items() if entry.is_}},
            keep_codes=base.keep_codes | (frozenset(kept) if isinstance(kept, list) else frozenset()),
            keep_codes_of=_joined(far, kept if isinstance(kept, dict) else {}),
            keys=tuple(file.keys) if file.keys else (base.keys or KEYS),
            envelope=envelope,
            type_uri=file.type_uri or base.type_uri,
            stream_type=file.stream_type or base.stream_type,
            says={**base.says, **{fault: tuple(e.addition() for e in entries) for fault, entries in file.says.items()}},
        )


_SILENT = FaultRow()


def _over(near: FaultRow, far: FaultRow | None) -> FaultRow:
    """Field by field, what is nearer wins."""
    if far is None:
        return near
    names = [field.name for field in fields(FaultRow)]
    return FaultRow(**{n: getattr(far if getattr(near, n) is None else near, n) for n in names})


def _joined(far: Mapping[str, frozenset[str]], near: Mapping[str, Sequence[str]]) -> dict[str, frozenset[str]]:
    return {fault: far.get(fault, frozenset()) | frozenset(near.get(fault, ())) for fault in {**far, **near}}
