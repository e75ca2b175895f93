"""`postel rules`, `faults`, `dialects`: what is recognised and how it is told, to look up.

Owns what is worth knowing of a rule, a fault and a dialect, the search in it, and its forms: lines, Markdown, JSON.
Decides nothing. Called by `cli`; docs/rules/ is made with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from postel.core.dialect import Dialect
from postel.core.fault import BASE, Faults
from postel.core.rules import RuleGroup
from postel.rulefile import schema
from postel.rulefile.compiling import CompiledPack
from postel.rulefile.load import Loaded
from postel.rulefile.yaml import Map, Seq

Form = Literal["text", "markdown", "json"]


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """One rule for people. `fault` None is `then: pass`; `common`, `when` and `then` are as written.

    `common` is what the pack asks beside every rule's own conditions.
    """

    id: str
    pack: str
    group: str
    summary: str
    fault: str | None
    status: int | None
    common: str
    when: str
    then: str
    source: str
    since: str
    until: str
    notes: str
    ambiguous: bool
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class FaultEntry:
    """One fault in one dialect. `is_` is the parent of a finer one, `retry_after` the default wait in seconds."""

    fault: str
    is_: str | None
    status: int
    type: str
    code: str | None
    retryable: bool
    retry_after: float
    blame: str
    message: str
    rules: int


@dataclass(frozen=True, slots=True)
class DialectEntry:
    """One dialect: whose API it speaks, and the faults that it tells in its own way."""

    dialect: str
    inherits: str | None
    summary: str
    faults: tuple[str, ...]


# --- what there is ----------------------------------------------------------------------------------------------------


def rules(loaded: Loaded, dialect: str = "openai") -> list[RuleEntry]:
    """Every rule in the order in which packs are asked."""
    told = loaded.dialects[dialect]
    packs = sorted(loaded.packs, key=lambda compiled: get_args(RuleGroup).index(compiled.pack.group))
    return [
        _rule(compiled, entry, told, loaded.rules.faults)
        for compiled in packs
        for entry in loaded.files[compiled.pack.name].rules
    ]


def _rule(compiled: CompiledPack, entry: schema.Rule, dialect: Dialect, faults: Faults) -> RuleEntry:
    fault = None if entry.then == "pass" else entry.then.fault
    written = _written(compiled, entry)
    pack = compiled.document.tree
    return RuleEntry(
        id=entry.id,
        pack=compiled.pack.name,
        group=compiled.pack.group,
        summary=entry.summary,
        fault=fault,
        status=dialect.terms(fault, faults).status if fault else None,
        common=flow(pack["when"]) if isinstance(pack, Map) and "when" in pack else "",
        when=flow(written.get("when")),
        then=flow(written.get("then")),
        source=entry.source or "",
        since=entry.since or "",
        until=entry.until or "",
        notes=entry.notes or "",
        ambiguous=entry.ambiguous,
        file=str(compiled.document.path),
        line=compiled.marks[entry.id].line,
    )


def _written(compiled: CompiledPack, entry: schema.Rule) -> Mapping[str, object]:
    tree = compiled.document.tree
    listed = tree.get("rules", ()) if isinstance(tree, Map) else ()
    return next(each for each in listed if isinstance(each, Map) and each.get("id") == entry.id)


def flow(value: object) -> str:
    """A value of a rule file on one line, as YAML."""
    match value:
        case Map():
            return "{" + ", ".join(f"{_scalar(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
        case Seq():
            return "[" + ", ".join(map(flow, value)) + "]"
    return _scalar(value)


def _scalar(value: object) -> str:
    if not isinstance(value, str):
        return json.dumps(value)
    plain = value and all(letter.isalnum() or letter in "_-./" for letter in value) and value[0].isalpha()
    word = plain and value.lower() not in ("true", "false", "null", "yes", "no", "on", "off")
    return value if word else "'" + value.replace("'", "''") + "'"


def faults(loaded: Loaded, dialect: str = "openai") -> list[FaultEntry]:
    """Every fault as a dialect tells it: the base ones, then the finer ones by name."""
    told, known = loaded.dialects[dialect], loaded.rules.faults
    uses: dict[str, int] = {}
    for rule in loaded.rules.known.values():
        if rule.then.fault:
            uses[rule.then.fault] = uses.get(rule.then.fault, 0) + 1
    names = [*BASE, *sorted(name for name in known if name not in BASE)]
    entries = []
    for name in names:
        terms = told.terms(name, known)
        line = known.lineage(name)
        entries.append(
            FaultEntry(
                fault=name,
                is_=line[1] if len(line) > 1 else None,
                status=terms.status,
                type=terms.type,
                code=terms.code,
                retryable=terms.retryable,
                retry_after=terms.retry_after,
                blame=terms.blame,
                message=terms.message,
                rules=uses.get(name, 0),
            )
        )
    return entries


def dialects(loaded: Loaded) -> list[DialectEntry]:
    """Every dialect by name."""
    return [
        DialectEntry(name, source.inherits, source.summary, tuple(source.faults))
        for name, source in sorted(loaded.dialect_files.items())
    ]


# --- the search -------------------------------------------------------------------------------------------------------


def search[E: RuleEntry | FaultEntry | DialectEntry](entries: Iterable[E], words: Sequence[str]) -> list[E]:
    """The entries in which every word occurs somewhere, upper and lower case alike."""
    wanted = [word.casefold() for word in words]
    return [entry for entry in entries if all(word in _haystack(entry) for word in wanted)]


def _haystack(entry: RuleEntry | FaultEntry | DialectEntry) -> str:
    return "\n".join(str(value) for value in asdict(entry).values()).casefold()


# --- the forms --------------------------------------------------------------------------------------------------------


def shown(entries: Sequence[RuleEntry] | Sequence[FaultEntry] | Sequence[DialectEntry], form: Form) -> str:
    """The entries for people, for a page, or for a program."""
    if form == "json":
        return json.dumps([_json(entry) for entry in entries], indent=2, ensure_ascii=False)
    rows = [_row(entry) for entry in entries]
    return table(rows) if form == "markdown" else "\n".join(columns(rows))


def _json(entry: RuleEntry | FaultEntry | DialectEntry) -> dict[str, Any]:
    return {name.rstrip("_"): value for name, value in asdict(entry).items()}


def _row(entry: RuleEntry | FaultEntry | DialectEntry) -> dict[str, str]:
    match entry:
        case RuleEntry():
            told = f"{entry.fault} ({entry.status})" if entry.fault else "passes"
            return {"rule": entry.id, "told as": told, "what happened": entry.summary}
        case FaultEntry():
            return {
                "fault": entry.fault,
                "is": entry.is_ or "",
                "status": str(entry.status),
                "type": entry.type,
                "code": entry.code or "null",
                "retried": "yes" if entry.retryable else "no",
                "wait": f"{entry.retry_after:g} s" if entry.retry_after else "",
                "whose": entry.blame,
                "rules": str(entry.rules),
            }
    return {
        "dialect": entry.dialect,
        "inherits": entry.inherits or "",
        "own faults": str(len(entry.faults)),
        "whose API": entry.summary,
    }


_WIDEST = 44


def columns(rows: Sequence[Mapping[str, str]]) -> Iterator[str]:
    """Lines with aligned columns; the last one is as long as it is."""
    if not rows:
        return
    names = list(rows[0])
    widths = {name: min(max(len(name), *(len(row[name]) for row in rows)), _WIDEST) for name in names}
    for row in ({name: name.upper() for name in names}, *rows):
        yield "  ".join(row[name].ljust(widths[name]) for name in names).rstrip()


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """A Markdown table; the first column is code."""
    if not rows:
        return ""
    names = list(rows[0])
    lines = [f"| {' | '.join(names)} |", "| --- " * len(names) + "|"]
    for row in rows:
        cells = [f"`{row[names[0]]}`", *(row[name].replace("|", "\\|") for name in names[1:])]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def details(entry: RuleEntry) -> Iterator[str]:
    """All of one rule, for a terminal."""
    yield f"{entry.id}  ({entry.group}/{entry.pack}, {entry.file}:{entry.line})"
    for name, value in (
        ("", entry.summary),
        ("notes", entry.notes),
        ("when", entry.when),
        ("and", entry.common),
        ("then", entry.then),
        ("status", str(entry.status or "")),
        ("source", entry.source),
        ("since", entry.since),
        ("until", entry.until),
        ("asked", "only if `packs` names its pack: others send these bytes too" if entry.ambiguous else ""),
    ):
        if value:
            yield f"  {name:7} {value}" if name else f"  {value}"
