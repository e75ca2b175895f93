"""The command line.

Owns verbs, flags, what may go wrong with standard output, and exit codes: 0, 1 for findings, 2 for wrong use or a
proxy that cannot start. Decides nothing else; each verb is a few lines that call the module of its name. Flags of
settings are made from `settings.Settings`.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, get_args

import postel
from postel.settings import Address, Settings, SettingsError, flag_name, load

OK, FINDINGS, WRONG_USE = 0, 1, 2
CUT_OFF = 141
"""What shells say of a program whose reader went away (128 + SIGPIPE): `postel check . | head -1` has not said all."""

_VALUE = {"upstream": "URL", "listen": "HOST:PORT", "rules": "PATH", "packs": "NAME,...", "dialect": "NAME|PATH"}
_REPEATED = ("rules", "passthrough", "keep_headers", "redact")


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
    except SettingsError as error:
        return _wrong(str(error))
    except KeyboardInterrupt:
        return OK
    return code


def _wrong(text: str) -> int:
    for line in text.splitlines():
        print(f"postel: {line}", file=sys.stderr)
    return WRONG_USE


# Verbs ----------------------------------------------------------------------------------------------------------------


def _run(args: argparse.Namespace) -> int:
    from postel.proxy.master import StartError
    from postel.rulefile.finding import RuleFileError
    from postel.run import normaliser, serve

    settings = load(_given(args), config=args.config)
    try:
        made, left_out = normaliser(settings)
    except RuleFileError as error:
        return _wrong(str(error))
    for line in left_out:
        print(f"postel: left out: {line}", file=sys.stderr)

    def started(host: str, port: int) -> None:
        where = Address(host=host, port=port)
        print(f"postel {postel.__version__}: http://{where} -> {settings.upstream} ({settings.mode})", file=sys.stderr)

    try:
        asyncio.run(serve(settings, made, started))
    except StartError as error:
        return _wrong(str(error))
    return OK


def _demo(args: argparse.Namespace) -> int:
    from postel import demo
    from postel.proxy.master import StartError

    if not args.serve:
        print(asyncio.run(demo.compare()))
        return OK
    try:
        asyncio.run(demo.serve(load({"upstream": "http://localhost:1", "listen": args.listen}, {}).listen))
    except StartError as error:
        return _wrong(str(error))
    return OK


def _check(args: argparse.Namespace) -> int:
    from postel.rulefile.check import check

    findings = check([Path(path) for path in args.paths])
    for finding in findings:
        print(finding)
    print(f"{len(findings)} finding{'s' * (len(findings) != 1)}")
    return FINDINGS if findings else OK


def _test(args: argparse.Namespace) -> int:
    from postel.rulefile.cases import Outcome, run_cases
    from postel.rulefile.check import survey

    found = survey([Path(path) for path in args.paths])
    results = run_cases(found)
    counts = {outcome: sum(result.outcome == outcome for result in results) for outcome in get_args(Outcome)}
    errors = [finding for finding in found.findings if finding.severity == "error"]
    for line in [*errors, *(result for result in results if result.outcome == "failed" or args.verbose)]:
        print(line)
    print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))
    if args.mutate:
        survivors = _mutate(found, [Path(path) for path in args.paths])
        return FINDINGS if errors or counts["failed"] or survivors else OK
    return FINDINGS if errors or counts["failed"] else OK


def _mutate(found: Any, paths: Sequence[Path]) -> int:
    from postel.rulefile.check import survey
    from postel.rulefile.library import library_path
    from postel.rulefile.mutation import prove

    chosen = {book.pack for book in found.books}
    books = survey([*paths, library_path()] if paths else []).books
    proof = prove(found.loaded, [each for each in found.loaded.packs if each.pack.name in chosen], books)
    for survivor in proof.survivors:
        print(survivor)
    print(f"{proof.mutants} mutants, {len(proof.survivors)} survived")
    return len(proof.survivors)


def _explain(args: argparse.Namespace) -> int:
    from postel.core.evidence import End, Request
    from postel.explain import CaptureError, capture, explain
    from postel.rulefile.finding import RuleFileError
    from postel.run import normaliser

    try:
        raw = sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes()
        body = Path(args.request).read_bytes() if args.request else b""
        evidence = capture(raw, Request(args.method, args.path, body), args.status)
        settings = load({**_given(args), "upstream": "http://localhost:1"})
        made, _ = normaliser(settings)
    except OSError as error:
        return _wrong(f"{error.filename}: {error.strerror}")
    except (CaptureError, RuleFileError) as error:
        return _wrong(str(error))
    for line in explain(made, evidence, now=time.time(), end=End(args.end)):
        print(line)
    return OK


def _version(_args: argparse.Namespace) -> int:
    from importlib.metadata import version

    python = ".".join(map(str, sys.version_info[:3]))
    print(f"postel {postel.__version__} (mitmproxy {version('mitmproxy')}, Python {python})")
    return OK


# Flags ----------------------------------------------------------------------------------------------------------------


def _given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags."""
    return {name: value for name in Settings.model_fields if (value := getattr(args, name, None)) is not None}


def _status(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no status; it should be 100 to 999")
    return int(text)


def _add_settings(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for name in names:
        field = Settings.model_fields[name]
        options: dict[str, Any] = {"help": field.description, "dest": name, "default": None}
        if field.annotation is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif name in _REPEATED:
            options |= {"action": "append", "metavar": _VALUE.get(name, "TEXT")}
        elif choices := [value for value in get_args(field.annotation) if isinstance(value, str)]:
            options |= {"choices": choices}
        else:
            options["metavar"] = _VALUE.get(name, "SECONDS" if name.endswith("timeout") else "VALUE")
        parser.add_argument(flag_name(name), **options)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="postel", description=postel.__doc__)
    verbs = parser.add_subparsers(metavar="VERB", required=True)

    def verb(name: str, action: object, text: str) -> argparse.ArgumentParser:
        sub: argparse.ArgumentParser = verbs.add_parser(name, help=text, description=text)
        sub.set_defaults(verb=action)
        return sub

    run = verb("run", _run, "Serve in front of an upstream. Every flag is also POSTEL_NAME and a key of --config.")
    run.add_argument("--config", metavar="FILE", help="A YAML file with settings.")
    _add_settings(run, [name for name in Settings.model_fields if name != "routes"])

    demo = verb("demo", _demo, "An engine that fails on demand: what a client sees without and with Postel.")
    demo.add_argument("--serve", action="store_true", help="Keep serving instead of printing the table.")
    demo.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT", help="With --serve: where.")

    check = verb("check", _check, "Check rule and dialect files: grammar, hidden rules, echoable text, missing cases.")
    check.add_argument("paths", nargs="+", metavar="PATH")

    test = verb("test", _test, "Run the cases beside rule files.")
    test.add_argument("paths", nargs="*", metavar="PATH", help="Default: the built-in library.")
    test.add_argument("--mutate", action="store_true", help="Damage each rule in turn: do the cases notice?")
    test.add_argument("-v", "--verbose", action="store_true", help="Name every case, not only those that failed.")

    explain = verb("explain", _explain, "Why an answer is told the way it is: every rule asked, the winner, the reply.")
    explain.add_argument("file", metavar="FILE|-", help="What `curl -i` printed, or a body alone with --status.")
    explain.add_argument("--status", type=_status, metavar="CODE", help="The upstream's status, if the file has none.")
    explain.add_argument("--path", default="/v1/chat/completions", help="The path that was asked.")
    explain.add_argument("--method", default="POST", help="The method that was used.")
    explain.add_argument(
        "--end",
        choices=("closed", "broken", "stalled"),
        default="closed",
        help="How a captured stream stopped: properly, without its framing's end, or not at all.",
    )
    explain.add_argument("--request", metavar="FILE", help="The client's request body, for the echo check.")
    explain.set_defaults(config=None)
    _add_settings(explain, ["rules", "packs", "dialect", "provenance", "redact"])

    verb("version", _version, "Print versions.")
    return parser
