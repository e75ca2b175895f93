"""What a deployment or a route may change about the guarding of streams.

Owns the numbers of DESIGN section 6 on streams. Filled from `settings` by the proxy, from the settings of a case by
`rulefile.play`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

REPAIRS = frozenset({"empty_data", "blank_line", "bom", "utf8"})
"""What is mended in healthy streams: an event with empty data is dropped, a complete last event gets its blank line, a
byte order mark before the first event is dropped, bytes that are no UTF-8 become U+FFFD. Each crashes some SDK."""


@dataclass(frozen=True, slots=True)
class StreamPolicy:
    """Durations in seconds. `first_output_timeout` and `total_timeout` count from when the upstream had the request.

    `idle_timeout` is without any byte, `comment_timeout` with comments only: they prove that the engine lives.
    `hold_time` and `hold_bytes` bound how long a failure may still become a real status. An event over `event_bytes`
    passes as it comes. `keepalive` is the quiet after which the client gets a comment; None for never.
    """

    first_output_timeout: float = 590.0
    idle_timeout: float = 120.0
    comment_timeout: float = 590.0
    total_timeout: float = inf
    hold_time: float = 30.0
    hold_bytes: int = 64 * 1024
    event_bytes: int = 2 * 1024 * 1024
    strict: bool = False
    done_after_error: bool = False
    keepalive: float | None = None
    repairs: frozenset[str] = REPAIRS
