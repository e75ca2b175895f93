"""Which requests are Postel's business.

Owns the path classes of DESIGN section 6: everything is normalised but the passthrough paths, where an answer is the
engine's own affair (probes, metrics, docs) and only a dead upstream gets the envelope. Called by the proxy once a
request.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import translate

PASSTHROUGH = (
    "/health*",
    "/ready*",
    "/live*",
    "/metrics",
    "/ping",
    "/version",
    "/docs*",
    "/openapi.json",
    "/",
)


class PathSet:
    """A set of paths written as globs: `*` stands for anything, `/` included; case counts, as in RFC 3986."""

    def __init__(self, globs: Iterable[str]) -> None:
        self.globs = tuple(globs)
        self._match = re.compile("|".join(map(translate, self.globs)) or r"(?!)").match

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self._match(path) is not None


def without_query(target: str) -> str:
    """The path of an origin-form request target (RFC 9112 section 3.2.1)."""
    return target.split("?", 1)[0].split("#", 1)[0]
