"""One block of a stream, as received.

Owns the shape that both readers make and the guard judges. Decides nothing. A named tuple and no dataclass, because one
is made for each event of each stream, and a frozen dataclass takes four times as long to make.
"""

from __future__ import annotations

from typing import NamedTuple

BOM = b"\xef\xbb\xbf"
"""A byte order mark in UTF-8."""


class Event(NamedTuple):
    """What stood between two ends of an event; `raw` is exactly what was received, its end included.

    `data` is None where there is none: a comment, a blank line, a lone `id:`. `stray` is what stands there and is no
    field of the format. `loose` is a part of an event that is too large to be held: it passes unseen.
    """

    raw: bytes
    data: bytes | None = None
    name: str | None = None
    stray: bytes = b""
    bom: bool = False
    loose: bool = False
