"""The verbs that look things up: `rules`, `faults`, `dialects`, `schema`.

Owns their flags. Called by `cli`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from postel.cli.codes import FINDINGS, OK, Verb, wrong

if TYPE_CHECKING:  # as in `lint`
    from postel.catalogue import DialectEntry, FaultEntry, RuleEntry


def add(verb: Verb) -> None:
    """Add the verbs."""
    for name, action, text in (
        ("rules", _rules, "Every rule: what it recognises, how it is told, where it was seen."),
        ("faults", _faults, "Every fault, and how a dialect tells it."),
        ("dialects", _dialects, "Every dialect, and whose API it is."),
    ):
        sub = verb(name, action, text)
        sub.add_argument("words", nargs="*", metavar="WORD", help="Only what has all of these, anywhere.")
        sub.add_argument("--format", choices=("text", "markdown", "json"), default="text", help="How to print it.")
        sub.add_argument(
            "--rules", action="append", default=[], type=Path, metavar="PATH", help="Your own files as well."
        )
        if name != "dialects":
            sub.add_argument("--dialect", default="openai", metavar="NAME", help="As this dialect tells it.")

    schema = verb("schema", _schema, "JSON Schema of a file that you write, for editors.")
    schema.add_argument("file", choices=("pack", "cases", "dialect"))


def _rules(args: argparse.Namespace) -> int:
    from postel import catalogue
    from postel.rulefile.load import load_rules

    loaded = load_rules(args.rules)
    if args.dialect not in loaded.dialects:
        return _no_dialect(args.dialect, loaded.dialects)
    entries = catalogue.rules(loaded, args.dialect)
    exact = [entry for entry in entries if [entry.id] == args.words]
    found = exact or catalogue.search(entries, args.words)
    if args.format == "text" and len(found) == 1:
        print("\n".join(catalogue.details(found[0])))
        return OK
    return _shown(found, args)


def _faults(args: argparse.Namespace) -> int:
    from postel import catalogue
    from postel.rulefile.load import load_rules

    loaded = load_rules(args.rules)
    if args.dialect not in loaded.dialects:
        return _no_dialect(args.dialect, loaded.dialects)
    return _shown(catalogue.search(catalogue.faults(loaded, args.dialect), args.words), args)


def _dialects(args: argparse.Namespace) -> int:
    from postel import catalogue
    from postel.rulefile.load import load_rules

    return _shown(catalogue.search(catalogue.dialects(load_rules(args.rules)), args.words), args)


def _shown(found: Sequence[RuleEntry] | Sequence[FaultEntry] | Sequence[DialectEntry], args: argparse.Namespace) -> int:
    from postel import catalogue

    if found or args.format == "json":
        print(catalogue.shown(found, args.format))
    if not found:
        own = "" if args.rules else "; your own files need --rules"
        print(f"postel: nothing has {' and '.join(f'`{word}`' for word in args.words)}{own}", file=sys.stderr)
    return OK if found else FINDINGS


def _no_dialect(name: str, known: Iterable[str]) -> int:
    from postel.rulefile.finding import did_you_mean

    return wrong(f"--dialect: there is no dialect `{name}`, {did_you_mean(name, known)}")


def _schema(args: argparse.Namespace) -> int:
    from postel.rulefile.case_schema import CaseFile
    from postel.rulefile.dialect_schema import DialectFile
    from postel.rulefile.document import Described
    from postel.rulefile.schema import PackFile

    models: dict[str, type[Described]] = {
        "pack": PackFile,
        "cases": CaseFile,
        "dialect": DialectFile,
    }
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **models[args.file].model_json_schema()}
    print(json.dumps(schema, indent=2, ensure_ascii=False))
    return OK
