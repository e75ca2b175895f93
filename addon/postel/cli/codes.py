"""Exit codes, and the one way to say that the command line was used wrongly.

Owns nothing else. Called by every verb.
"""

from __future__ import annotations

import argparse
import sys
from typing import Protocol

OK, FINDINGS, WRONG_USE = 0, 1, 2
CUT_OFF = 141
"""What shells say of a program whose reader went away (128 + SIGPIPE): `postel check . | head -1` has not said all."""

INTERRUPTED = 130
"""What shells say of a program that was interrupted (128 + SIGINT)."""


class Verb(Protocol):
    """Adds a verb: its name, the function that gets the parsed flags and returns the exit code, and a sentence."""

    def __call__(self, name: str, action: object, text: str) -> argparse.ArgumentParser: ...


def wrong(text: str) -> int:
    """Say what is wrong, a line each, and return the exit code for it."""
    for line in text.splitlines():
        print(f"postel: {line}", file=sys.stderr)
    return WRONG_USE
