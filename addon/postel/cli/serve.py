"""The verbs that serve: `run`, `demo`; and `version`.

Owns their flags and what they print at the start. Called by `cli`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

import postel
from postel.cli.codes import OK, Verb, wrong
from postel.cli.flags import add_settings, given
from postel.settings import Address, Settings, load


def add(verb: Verb) -> None:
    """Add the verbs."""
    run = verb("run", _run, "Serve in front of an upstream. Every flag is also POSTEL_NAME and a key of --config.")
    run.add_argument("--config", metavar="FILE", help="A YAML file with settings.")
    add_settings(run, [name for name in Settings.model_fields if name != "routes"])

    demo = verb("demo", _demo, "An engine that fails on demand: what a client sees without and with Postel.")
    demo.add_argument("--serve", action="store_true", help="Keep serving instead of printing the table.")
    demo.add_argument("--listen", default="127.0.0.1:8080", metavar="HOST:PORT", help="With --serve: where.")


def _run(args: argparse.Namespace) -> int:
    from postel.proxy.master import StartError
    from postel.rulefile.finding import RuleFileError
    from postel.run import normaliser, serve

    settings = load(given(args), config=args.config)
    try:
        made, problems = normaliser(settings)
    except RuleFileError as error:
        return wrong(str(error))
    for line in problems:
        print(f"postel: {line}", file=sys.stderr)

    def started(host: str, port: int) -> None:
        where = Address(host=host, port=port)
        own = sorted(pack.name for pack in made.rules.packs if pack.group == "user")
        rules = f"{len(made.rules.asked)} rules" + (f" with {', '.join(own)}" if own else "")
        how = f"{settings.mode}, {rules}, dialect {settings.dialect}"
        print(f"postel {postel.__version__}: http://{where} -> {settings.upstream} ({how})", file=sys.stderr)

    try:
        asyncio.run(serve(settings, made, started))
    except StartError as error:
        return wrong(str(error))
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
        return wrong(str(error))
    return OK


def version(_args: argparse.Namespace) -> int:
    from importlib.metadata import version

    python = ".".join(map(str, sys.version_info[:3]))
    print(f"postel {postel.__version__} (mitmproxy {version('mitmproxy')}, Python {python})")
    return OK


SERVING = (_run, _demo)
"""Verbs that go on until they are interrupted."""
