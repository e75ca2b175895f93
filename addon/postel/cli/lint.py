"""The verbs that prove rules: `check`, `test`, `diff`.

Owns their flags, what they print, and progress on a terminal. Called by `cli`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import postel
from postel.cli.codes import FINDINGS, OK, Verb, wrong

if TYPE_CHECKING:  # for the annotations alone: `--help` does not wait for the reader of rule files
    from postel.rulefile.cases import Result
    from postel.rulefile.check import Survey
    from postel.rulefile.finding import Finding


def add(verb: Verb) -> None:
    """Add the verbs."""
    check = verb("check", _check, "Check rule and dialect files: grammar, hidden rules, echoable text, missing cases.")
    check.add_argument("paths", nargs="+", metavar="PATH")
    check.add_argument(
        "--format",
        choices=("text", "github", "sarif"),
        default="text",
        help="Lines, GitHub workflow commands (annotations of a pull request), or a SARIF log.",
    )
    check.add_argument("--strict", action="store_true", help="Exit 1 on warnings too.")

    test = verb("test", _test, "Run the cases beside rule files.")
    test.add_argument("paths", nargs="*", metavar="PATH", help="Default: the built-in library.")
    test.add_argument("-v", "--verbose", action="store_true", help="Name every case, not only those that failed.")
    test.add_argument("--coverage", action="store_true", help="How many cases each rule has won, and not matched.")
    test.add_argument("--junit", metavar="FILE", type=Path, help="Write the results as JUnit XML too.")
    test.add_argument("--mutate", action="store_true", help="Damage each rule in turn: do the cases notice?")

    diff = verb("diff", _diff, "Which recorded failures are told differently under other rules; exit 1 if any is.")
    for name in ("old", "new"):
        diff.add_argument(
            name, metavar=name.upper(), type=Path, help="A pack, a folder of packs, a whole library, or `builtin`."
        )
    diff.add_argument(
        "--cases", action="append", default=[], type=Path, metavar="FILE", help="More recorded failures: a case file."
    )
    diff.add_argument("--words", action="store_true", help="Other words in the message count too.")


class Progress:
    """One line that is written over, on standard error, if that is a terminal."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._shown = ""

    def __call__(self, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        shown = f"{self._what} {done * 100 // total} %"
        if done == total:
            print("\r" + " " * len(self._shown), end="\r", file=sys.stderr, flush=True)
        elif shown != self._shown:
            print(f"\r{shown}", end="", file=sys.stderr, flush=True)
        self._shown = shown


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'s' * (number != 1)}"


def _check(args: argparse.Namespace) -> int:
    from postel.rulefile import report
    from postel.rulefile.check import check

    findings = check([Path(path) for path in args.paths])
    errors = [finding for finding in findings if finding.severity == "error"]
    if args.format == "sarif":
        print(report.sarif(findings, postel.__version__))
    else:
        for line in report.github(findings) if args.format == "github" else findings:
            print(line)
        warnings = len(findings) - len(errors)
        print(_count(len(errors), "error") + (f", {_count(warnings, 'warning')}" if warnings else ""))
    return FINDINGS if errors or (args.strict and findings) else OK


def _test(args: argparse.Namespace) -> int:
    from postel.rulefile import report
    from postel.rulefile.cases import run_cases
    from postel.rulefile.check import survey

    paths = [Path(path) for path in args.paths]
    found = survey(paths)
    results = run_cases(found, Progress("cases"))
    if args.junit:
        try:
            args.junit.write_text(report.junit(results), "utf-8")
        except OSError as error:
            return wrong(f"--junit: {args.junit} cannot be written ({error.strerror})")
    errors = [finding for finding in found.findings if finding.severity == "error"]
    failed = [result for result in results if result.outcome == "failed"]
    for line in (*errors, *(results if args.verbose else failed)):
        print(line)
    if args.coverage:
        _print_coverage(found, results)
    print(f"{len(results) - len(failed)} passed, {len(failed)} failed")
    survivors = _mutate(found, paths) if args.mutate else []
    return FINDINGS if errors or failed or survivors else OK


def _print_coverage(found: Survey, results: Sequence[Result]) -> None:
    from postel.rulefile.cases import coverage

    rows = coverage(found, results)
    for row in rows:
        print(f"{row.won:4} won {row.refuted:4} not matched  {row.rule}")
    covered = sum(row.won > 0 for row in rows)
    print(f"{covered} of {_count(len(rows), 'rule')} won by a case")


def _mutate(found: Survey, paths: Sequence[Path]) -> list[Finding]:
    from postel.rulefile.check import survey
    from postel.rulefile.library import library_path
    from postel.rulefile.mutation import prove

    chosen = {book.pack for book in found.books}
    # The cases of the whole library may notice too: they must keep their rules, whatever a new pack says.
    books = survey([*paths, library_path()]).books if paths else found.books
    packs = [each for each in found.loaded.packs if each.pack.name in chosen]
    proof = prove(found.loaded, packs, books, Progress("mutants"))
    for survivor in proof.survivors:
        print(survivor)
    print(f"{_count(proof.mutants, 'mutant')}, {len(proof.survivors)} survived")
    return proof.survivors


def _diff(args: argparse.Namespace) -> int:
    from postel.rulefile.diff import diff, played_cases, surveyed
    from postel.rulefile.library import library_path

    places = [library_path() if path == Path("builtin") else path for path in (args.old, args.new)]
    missing = [path for path in (*places, *args.cases) if not path.exists()]
    if missing:
        return wrong("\n".join(f"{path}: no such file or folder" for path in missing))
    old, new = map(surveyed, places)
    errors = [finding for found in (old, new) for finding in found.loaded.problems if finding.severity == "error"]
    if errors:
        return wrong("\n".join(map(str, errors)))
    books = played_cases((old, new), args.cases)
    played, changes = diff(old.loaded, new.loaded, books, words=args.words, progress=Progress("cases"))
    for change in changes:
        print("\n".join(change.lines()))
    print(f"{_count(played, 'case')}, {len(changes)} told differently")
    return FINDINGS if changes else OK
