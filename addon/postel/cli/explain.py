"""The verb `explain`.

Owns its flags. Called by `cli`.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

from postel.cli.codes import OK, Verb, wrong
from postel.cli.flags import add_settings, given
from postel.settings import load


def add(verb: Verb) -> None:
    """Add the verb."""
    explain = verb(
        "explain", _explain, "Why an answer is told the way it is: which rules came near, the winner, the reply."
    )
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
    explain.add_argument("--all", action="store_true", help="Show every rule that was asked, not only near ones.")
    explain.set_defaults(config=None)
    add_settings(explain, ["rules", "packs", "dialect", "provenance", "redact"])


def _status(text: str) -> int:
    if not re.fullmatch("[1-9][0-9]{2}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no status; it should be 100 to 999")
    return int(text)


def _explain(args: argparse.Namespace) -> int:
    from postel.core.evidence import End, Request
    from postel.explain import CaptureError, capture, explain
    from postel.rulefile.finding import RuleFileError
    from postel.run import normaliser

    try:
        raw = sys.stdin.buffer.read() if args.file == "-" else Path(args.file).read_bytes()
        body = Path(args.request).read_bytes() if args.request else b""
        evidence = capture(raw, Request(args.method, args.path, body), args.status)
        settings = load({**given(args), "upstream": "http://localhost:1"})
        made, _ = normaliser(settings)
    except OSError as error:
        return wrong(f"{error.filename}: {error.strerror}")
    except (CaptureError, RuleFileError) as error:
        return wrong(str(error))
    for line in explain(made, evidence, now=time.time(), end=End(args.end), everything=args.all):
        print(line)
    return OK
