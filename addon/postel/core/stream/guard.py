"""The state machine between an upstream's stream and the client.

Owns what of a stream may leave and when: whole events only, the head with the first of them that has output, and where
the stream fails, either a real status (nothing is out yet) or one error event and the clean end of the body. Knows no
socket and no clock (every call is told the time), no rule (it asks `judge`) and no wording (that is `tail`'s). Driven
by `proxy.layer` and by `rulefile.play`.

    HELD -> OPEN -> ENDED            the body ends properly: complete, or after one error event
    HELD -> REFUSED                  `reply` goes out in the place of the upstream's answer
            OPEN -> UNFINISHED       a part of an event is out, and nothing can be said any more
"""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from math import inf

from postel.core.evidence import End, Headers, Request
from postel.core.render import Reply
from postel.core.stream.clock import Clock
from postel.core.stream.event import BOM, Event
from postel.core.stream.inspector import PATIENCE, Inspector, Judge, Kind, Look
from postel.core.stream.ndjson import LineReader
from postel.core.stream.policy import StreamPolicy
from postel.core.stream.repeat import Repeat
from postel.core.stream.sse import SseReader
from postel.core.stream.tail import form_of, tail

KEEPALIVE = b": keep-alive\n\n"

_SSE = (b"data:", b"event:", b"id:", b"retry:", b": ")
FLOOD = 16_384
"""Blocks without data that one read of the wire may bring: more would stop the loop for seconds, and say nothing."""

_STEPS = 16
"""Events of one piece that are looked at one by one, for another like them to follow."""


class Stage(IntEnum):
    """What is to be done with the client's answer. It only ever goes on."""

    HELD = 0  # nothing may leave yet
    OPEN = 1  # the head, then whatever a call returns
    REFUSED = 2  # `reply` instead of the upstream's answer
    ENDED = 3  # the head if it is not out, what the call returned, and the proper end of the body
    UNFINISHED = 4  # what the call returned, and then no end: the framing tells that this is not all


class Guard:
    """One stream. `asked` is when the upstream had the request, `now` when its head came, in seconds of one clock.

    Every call returns what is to be sent to the client now; `stage` says how. `deadline` is when `tick` wants to be
    called (too early or too often does no harm). After the last stage nothing changes any more. Never raises.
    """

    __slots__ = (
        "_clock",
        "_cut_line",
        "_first",
        "_flood",
        "_inspector",
        "_label_holds",
        "_lines",
        "_opening",
        "_out",
        "_path",
        "_policy",
        "_reader",
        "_repeat",
        "_request_id",
        "_spoken",
        "deadline",
        "held",
        "opened",
        "reply",
        "stage",
    )

    def __init__(
        self,
        judge: Judge,
        request: Request,
        headers: Headers,
        *,
        policy: StreamPolicy,
        request_id: str,
        lines: bool,
        asked: float,
        now: float,
    ) -> None:
        self._inspector = Inspector(judge, request, headers, policy, lines=lines)
        self._reader = LineReader() if lines else SseReader()
        self._repeat = Repeat()
        self._policy = policy
        self._path = request.path
        self._request_id = request_id
        self._lines = lines
        self._label_holds: bool | None = None if lines else True
        self._first = b""  # the first bytes, while they are too few to tell what they are

        self.stage = Stage.HELD
        self.opened = False
        self.reply: Reply | None = None
        self.held = 0
        self._opening = bytearray()
        self._out: list[bytes] = []
        self._spoken = False  # there was output
        self._flood = 0  # blocks without data in this read
        self._cut_line = False  # the last byte sent was a CR, which an LF may yet belong to

        self._clock = Clock(policy, asked=asked, now=now)
        self.deadline = inf
        self._schedule()

    @property
    def delivered(self) -> int:
        """Events with data that the client has."""
        return self._inspector.events if self.opened else 0

    @property
    def is_complete(self) -> bool:
        """Whether the client has all there is to have, whatever still comes."""
        return self._clock.terminated is not None or self._inspector.progress.is_finished

    @property
    def repaired(self) -> Counter[str]:
        """What was mended so far, by the name of the repair; `malformed` events were dropped."""
        return self._inspector.repaired

    # What happens -----------------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> bytes:
        """Bytes of the body came."""
        if self.stage >= Stage.REFUSED:
            return b""
        if now != self._clock.heard:  # another read of the wire
            self._clock.heard = now
            self._flood = 0
            self._inspector.patience = PATIENCE
        if self._label_holds is None:
            data = self._begin(data)
        self._feed(data, now)
        return self._sent(now)

    def _feed(self, data: bytes, now: float) -> None:
        reader, repeat = self._reader, self._repeat
        at, size, steps = 0, len(data), _STEPS
        while at < size:
            if self._between_events:
                end, events = repeat.run(data, at)
                if events:
                    self._inspector.events += events
                    self._clock.event = now
                    self._out.append(data[at:end] if end - at < size else data)
                    at, steps = end, _STEPS
                    continue
            # Event by event while there may be more of the same; else all at once, which costs less.
            stop = data.find(b"\n\n", at) + 2 if steps and repeat.is_hopeful else 0
            if stop < 2:
                stop = size
            self._read(reader.receive(data[at:stop] if stop - at < size else data), now)
            if self.stage >= Stage.REFUSED:
                return
            at, steps = stop, steps - 1
        if reader.held > self._policy.event_bytes:
            self._open()
            self._out.append(reader.let_go())

    @property
    def _between_events(self) -> bool:
        """Whether a good event may be passed on without the reader's knowing."""
        if not self._spoken or self._clock.terminated is not None or not self._inspector.is_calm:
            return False
        return not (self._reader.held or self._reader.is_loose)

    def _read(self, events: list[Event], now: float) -> None:
        for event in events:
            if event.loose:
                self._inspector.unseen = True
                self._inspector.events += event is not events[-1] or not self._reader.is_loose  # its end
            if event.loose or self._clock.terminated is not None:
                self._out.append(event.raw)
                continue
            look = self._inspector.look(event)
            if look.kind >= Kind.OPENING:
                self._clock.event = now
                self._flood = 0
            else:
                self._flood += 1
            self._take(look, now)
            if self._flood > FLOOD:
                self._drown(event)
            if self.stage >= Stage.REFUSED:
                return

    def _drown(self, event: Event) -> None:
        """One read of the wire brought thousands of blocks with nothing in them: no engine does that."""
        if reply := self._inspector.give_up(event):
            self._fail(reply)

    def _begin(self, data: bytes) -> bytes:
        """Look at the first bytes of what calls itself lines of JSON: SDKs read server-sent events under any label.

        Returns what there is to read; a few bytes wait for more, if they may yet be either.
        """
        first = self._first + data
        text = first.removeprefix(BOM).lstrip(b"\r\n")
        self._first = b""
        if not text and first != BOM:
            return first  # blank lines are the same in both
        if any(beginning.startswith(text) and text != beginning for beginning in (*_SSE, BOM)):
            self._first = first
            return b""
        self._label_holds = not text.startswith(_SSE)
        if not self._label_holds:
            self._lines = self._inspector.lines = False
            begun = self._reader.finish()
            self._reader = SseReader()
            return begun.raw + first if begun else first
        return first

    def end(self, how: End, now: float) -> bytes:
        """The body ended or broke, or the edge gives it up."""
        if self.stage >= Stage.REFUSED:
            return b""
        if self._first:
            first, self._first = self._first, b""
            self._feed(first, now)
            if self.stage >= Stage.REFUSED:
                return self._sent(now)
        loose = self._reader.is_loose
        rest = self._reader.finish()
        trailer = b""
        if rest and how is End.CLOSED:
            if self._clock.terminated is None:
                look = self._inspector.look_at_rest(rest)
            else:
                look = Look(Kind.DROPPED if rest.data is not None or rest.stray else Kind.ASIDE, rest.raw)
            if look.kind is not Kind.ASIDE:
                self._take(look, now)
            if look.kind is not Kind.DROPPED:
                rest = None  # it is no fragment
            trailer = look.raw if look.kind is Kind.ASIDE else b""
        if self.stage >= Stage.REFUSED:
            return self._sent(now)
        if self._clock.terminated is not None or self._inspector.is_complete(how, rest):
            self._end_well(trailer)
        elif reply := self._inspector.explain(how, rest):
            self._fail(reply, loose=loose)
        else:
            self._end_well(trailer)
        return self._sent(now)

    def tick(self, now: float) -> bytes:
        """Time passed."""
        if self.stage >= Stage.REFUSED:
            return b""
        if now >= self._clock.total_by:
            return self.end(End.EXPIRED, now)
        if now >= self._clock.silent_at(spoken=self._spoken):
            return self.end(End.STALLED, now)
        if self.stage is Stage.HELD and now >= self._clock.release_at:
            self._open()
        elif now >= self._quiet_at():
            self._out.append(KEEPALIVE)
        return self._sent(now)

    def release(self, now: float) -> bytes:
        """Hold nothing any more: there is no memory for it."""
        if self.stage >= Stage.REFUSED:
            return b""
        self._open()
        if self._first:
            first, self._first, self._label_holds = self._first, b"", True
            self._feed(first, now)
        if self._reader.held:
            self._out.append(self._reader.let_go())
        return self._sent(now)

    def excuse(self, now: float) -> None:
        """The client is slow and the upstream is held back for it: the silence until now is not the upstream's."""
        self._clock.excuse(now)
        self._schedule()

    # Deadlines --------------------------------------------------------------------------------------------------------

    def _quiet_at(self) -> float:
        """When the client is due a comment, which is no use before the head and after the last event."""
        if self._lines or self.stage is not Stage.OPEN or self._reader.is_loose or self.is_complete:
            return inf
        return self._clock.quiet_at()

    def _schedule(self) -> None:
        if self.stage >= Stage.REFUSED:
            self.deadline = inf
            return
        clock = self._clock
        deadline = min(clock.silent_at(spoken=self._spoken), clock.total_by)
        if self.stage is Stage.HELD:
            deadline = min(deadline, clock.release_at)
        elif self._policy.keepalive is not None:
            deadline = min(deadline, self._quiet_at())
        self.deadline = deadline

    # What leaves ------------------------------------------------------------------------------------------------------

    def _take(self, look: Look, now: float) -> None:
        kind, raw, reply, plain = look
        if reply:
            if raw and self.opened:
                self._out.append(raw)
            self._fail(reply)
        elif kind >= Kind.OUTPUT:
            if not self._spoken:
                self._spoken = True
                self._open()
            self._out.append(raw)
            if kind is Kind.LAST:
                self._clock.terminated = now
            elif plain:
                self._repeat.learn(raw)
        elif kind is not Kind.DROPPED:
            self._hold(raw)

    def _hold(self, raw: bytes) -> None:
        """Send what has no output, if not now then with what has."""
        if self.stage is not Stage.HELD:
            self._out.append(raw)
            return
        self._opening += raw
        if len(self._opening) > self._policy.hold_bytes:
            self._open()

    def _open(self) -> None:
        if self.stage is Stage.HELD:
            self.stage = Stage.OPEN
            self.opened = True
            self._out = [bytes(self._opening)] if self._opening else []
            self._opening = bytearray()

    def _end_well(self, trailer: bytes) -> None:
        self._inspector.forgive()
        self._open()
        if trailer:
            self._out.append(trailer)
        self.stage = Stage.ENDED

    def _fail(self, reply: Reply, *, loose: bool = False) -> None:
        self.reply = reply
        if self.stage is Stage.HELD:
            self.stage = Stage.REFUSED
            return
        self.stage = Stage.UNFINISHED if loose else Stage.ENDED
        if not loose:
            if self._lines and self._out and not self._out[-1].endswith(b"\n"):
                self._out.append(b"\n")  # a last line of JSON, which was whole without it
            elif self._out[-1].endswith(b"\r") if self._out else self._cut_line:
                self._out.append(b"\n")  # what ended with CR may be half of a CR LF
            progress = self._inspector.progress
            self._out.append(
                tail(
                    reply,
                    form_of(progress, self._path, lines=self._lines),
                    request_id=self._request_id,
                    delivered=self._inspector.events,
                    sequence=progress.sequence,
                    done=self._policy.done_after_error,
                )
            )

    def _sent(self, now: float) -> bytes:
        """Everything a call has found to send."""
        out = self._out
        if out:
            data = out[0] if len(out) == 1 else b"".join(out)
            self._out = []
            self._clock.sent = now
            self._cut_line = data.endswith(b"\r")
        else:
            data = b""
        if self.stage >= Stage.REFUSED:
            self._opening, self.held = bytearray(), 0
        else:
            self.held = len(self._opening) + self._reader.held + len(self._first)
        self._schedule()
        return data
