"""An upstream that fails on demand, for `postel demo`, `make run` and the project's own tests.

Owns the failures by name. A leaf without mitmproxy. `/fault/NAME/...` plays NAME whatever follows, so that an SDK can
be pointed at one failure with `base_url=".../fault/NAME/v1"`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from postel.misbehave.answers import ANSWERS
from postel.misbehave.engine import End, Engine, Received, Script, Step, answer, chunk
from postel.misbehave.streams import STREAMS

__all__ = ["SCRIPTS", "End", "Engine", "Received", "Script", "Step", "answer", "by_path", "chunk"]

SCRIPTS: Mapping[str, Script] = {**ANSWERS, **STREAMS}
"""Every failure that can be asked for, and one healthy answer of each kind."""


def by_path(request: Received) -> Script:
    """`/fault/NAME/...` plays NAME; anything else is healthy."""
    parts = request.path.split("?")[0].split("/")
    if len(parts) > 2 and parts[1] == "fault":
        return SCRIPTS.get(parts[2]) or Script(
            "unknown",
            [answer("404 Not Found", json.dumps({"detail": f"no such fault; try one of {', '.join(SCRIPTS)}"}))],
        )
    return SCRIPTS["healthy"]
