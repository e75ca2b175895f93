"""docs/rules/: a page for each pack, made from the rule files, and their index.

    python tests/docs/rule_pages.py      rewrites them

`test_rule_pages.py` holds the files to what this makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from postel import catalogue
from postel.catalogue import RuleEntry
from postel.rulefile.check import survey
from postel.rulefile.compiling import CompiledPack
from postel.rulefile.load import Loaded

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/rules"
GROUPS = {
    "engines": "Inference engines, and what stands around them in a cluster",
    "providers": "Hosted providers, and gateways to them",
    "proxies": "Proxies, load balancers, clouds and web frameworks",
    "generic": "What many systems say alike",
    "transport": "No usable answer at all",
}


def pages() -> dict[str, str]:
    """Every page by its file name."""
    found = survey()
    cases = {book.pack: len(book.cases) for book in found.books}
    entries = {pack: list(group) for pack, group in groupby(catalogue.rules(found.loaded), lambda entry: entry.pack)}
    packs = [compiled for group in GROUPS for compiled in found.loaded.packs if compiled.pack.group == group]
    made = {
        f"{each.pack.name}.md": _page(
            each, found.loaded.files[each.pack.name].summary, entries[each.pack.name], cases.get(each.pack.name, 0)
        )
        for each in packs
    }
    return {"README.md": _index(packs, found.loaded, cases), **made}


def _index(packs: Sequence[CompiledPack], loaded: Loaded, cases: dict[str | None, int]) -> str:
    total = sum(len(each.pack.rules) for each in packs)
    lines = [
        "# The rule catalogue",
        "",
        f"{total} rules in {len(packs)} packs, proved by {sum(cases.values())} cases.",
        "`postel rules WORD...` searches them in a terminal;",
        "[rules/README.md](../../rules/README.md) says how they are asked,",
        "[docs/rules.md](../rules.md) how they are written.",
        "",
        "These pages are made from the rule files: `python tests/docs/rule_pages.py`.",
    ]
    for group, title in GROUPS.items():
        lines += ["", f"## {title}", "", "| pack | what it is | rules | cases |", "| --- " * 4 + "|"]
        for each in packs:
            if each.pack.group == group:
                name, rules = each.pack.name, len(each.pack.rules)
                lines.append(
                    f"| [{name}]({name}.md) | {_cell(loaded.files[name].summary)} | {rules} | {cases.get(name, 0)} |"
                )
    return "\n".join([*lines, ""])


def _page(compiled: CompiledPack, summary: str, entries: Sequence[RuleEntry], cases: int) -> str:
    path = compiled.document.path.relative_to(ROOT)
    lines = [
        f"# {compiled.pack.name}",
        "",
        f"{summary.rstrip('.')}. {len(entries)} rules in [{path}](../../{path}), proved by {cases} cases.",
        *_prose(compiled.document.path),
        "",
        "| rule | told as | what happened |",
        "| --- " * 3 + "|",
        *(f"| [`{each.id}`](#{_anchor(each.id)}) | {_told(each)} | {_cell(each.summary)} |" for each in entries),
    ]
    if entries[0].common:
        lines += ["", "Beside each rule's own conditions, in the phases that have these keys:"]
        lines += ["", "```yaml", f"when: {entries[0].common}", "```"]
    for each in entries:
        lines += [
            "",
            f"### {each.id}",
            "",
            each.summary,
            "",
            "```yaml",
            f"when: {each.when}",
            f"then: {each.then}",
            "```",
        ]
        lines += _facts(each)
    return "\n".join([*lines, ""])


def _facts(entry: RuleEntry) -> Iterator[str]:
    facts = [
        ("Seen in", f"{entry.source}." if entry.source else ""),
        ("Since", f"version {entry.since}." if entry.since else ""),
        ("Until", f"version {entry.until}." if entry.until else ""),
        ("", entry.notes),
        ("", "Others send these bytes too: asked only if `packs` names this pack." if entry.ambiguous else ""),
    ]
    told = [f"{name} {text}".strip() for name, text in facts if text]
    if told:
        yield ""
        yield " ".join(told)


def _prose(path: Path) -> Iterator[str]:
    """What the file says of itself in the comment at its head."""
    lines = path.read_text("utf-8").splitlines()
    head = [line.removeprefix("#").strip() for line in lines[: next(at for at, x in enumerate(lines) if x[:1] != "#")]]
    if head:
        yield ""
        yield from head


def _told(entry: RuleEntry) -> str:
    return f"`{entry.fault}` ({entry.status})" if entry.fault else "passes untouched"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _anchor(id: str) -> str:
    return "".join(letter for letter in id if letter.isalnum() or letter in "-_")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for stale in {path.name for path in FOLDER.glob("*.md")} - set(made := pages()):
        (FOLDER / stale).unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, "utf-8")
