"""The command line.

Owns the verbs' names, what may go wrong with standard output, and exit codes: 0, 1 for findings, 2 for wrong use or a
proxy that cannot start. Decides nothing else: `serve`, `lint`, `lookup` and `explain` have a few lines a verb, which
call the module of its name.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import postel
from postel.cli import explain, lint, lookup, serve
from postel.cli.codes import CUT_OFF, INTERRUPTED, OK, WRONG_USE, wrong
from postel.rulefile.finding import RuleFileError
from postel.settings import SettingsError


class _Parser(argparse.ArgumentParser):
    """Wrong use gets one clear line, not the whole usage."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(WRONG_USE)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `postel ARGV`; returns the exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # upstreams say what an ASCII terminal cannot show
    try:
        try:
            return _called(argv)
        finally:
            if sys.stdout:  # a service may be started without one
                sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        return CUT_OFF


def _called(argv: Sequence[str] | None) -> int:
    args = _parser().parse_args(argv)
    try:
        code: int = args.verb(args)
    except (SettingsError, RuleFileError) as error:
        return wrong(str(error))
    except KeyboardInterrupt:
        # Who serves is stopped like this; a check that did not come to its end has not passed.
        return OK if args.verb in serve.SERVING else INTERRUPTED
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="postel", description=postel.__doc__)
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, action: object, text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(verb=action)
        return sub

    for family in (serve, lint, explain, lookup):
        family.add(verb)
    verb("version", serve.version, "Print versions.")
    return parser
