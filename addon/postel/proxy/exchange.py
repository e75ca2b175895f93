"""What Postel remembers of one exchange between its hooks.

Owns the record and where it is kept: beside the flow, not in `flow.metadata`, which mitmproxy serialises when it saves
flows. Decides nothing. Made by `addon.requestheaders`, read by the other hooks and by the layer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from weakref import WeakKeyDictionary

from mitmproxy.http import HTTPFlow

from postel.core.normalise import Normaliser
from postel.core.render import Reply
from postel.core.requestid import RequestId
from postel.settings import Terms

REQUEST_HOLD = 1024 * 1024
"""Bytes of a request body that are held before it is streamed through."""


Events = Literal["events", "lines"]
"""What a guarded answer is a stream of: server-sent events, lines of JSON."""


@dataclass(slots=True)
class Tee:
    """A request stream callable that passes everything on and keeps the beginning for the echo check.

    `may_hold` accounts for bytes that are kept; where it refuses, nothing more is.
    """

    may_hold: Callable[[int], bool]
    room: int = REQUEST_HOLD
    seen: bytearray = field(default_factory=bytearray)

    def __call__(self, data: bytes) -> bytes:
        kept = data[: self.room]
        if kept and self.may_hold(len(kept)):
            self.seen += kept
            self.room -= len(kept)
        else:
            self.room = 0
        return data

    def stop(self) -> None:
        """Keep nothing more, and forget what was kept."""
        self.room = 0
        self.seen = bytearray()


@dataclass(slots=True)
class Exchange:
    """One request and what becomes of it. Rules and dialect are those in force when it arrived."""

    normaliser: Normaliser
    request_id: RequestId
    normalised: bool
    enforcing: bool
    terms: Terms
    events: Events | None = None
    reply: Reply | None = None


class Exchanges:
    """The exchanges in progress, by flow; one goes when its flow does."""

    def __init__(self) -> None:
        self._by_flow: WeakKeyDictionary[HTTPFlow, Exchange] = WeakKeyDictionary()

    def __getitem__(self, flow: HTTPFlow) -> Exchange:
        return self._by_flow[flow]

    def __setitem__(self, flow: HTTPFlow, exchange: Exchange) -> None:
        self._by_flow[flow] = exchange

    def get(self, flow: HTTPFlow) -> Exchange | None:
        return self._by_flow.get(flow)
