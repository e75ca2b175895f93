"""The bytes of a stream of JSON lines into events, as they come.

Owns where a line ends and what of it is no JSON: the LF and a CR before it, a byte order mark before the first, the
record separators of RFC 7464. Does not read the JSON, and never changes a byte: the `raw` of all events and the rest
are what was received. Called by `guard`, in the place of `sse.SseReader` and with the same methods.
"""

from __future__ import annotations

from postel.core.stream.event import BOM, Event

# Numbers, because CPython finds a byte by its number several times faster than by a string of one.
LF, BRACE, END_BRACE = b"\n{}"


class LineReader:
    """A line is an event; one that is blank has no data."""

    __slots__ = ("_begun", "_rest", "is_loose")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._begun = False
        self.is_loose = False
        """In the middle of a line that was given up."""

    @property
    def rest(self) -> bytes:
        """What came after the last whole line."""
        return bytes(self._rest)

    @property
    def held(self) -> int:
        return len(self._rest)

    def receive(self, data: bytes) -> list[Event]:
        """The lines that are whole now, in order."""
        events: list[Event] = []
        position = 0
        if self.is_loose and data:
            position = data.find(LF) + 1 or len(data)
            self.is_loose = not data.endswith(b"\n", 0, position)
            events.append(Event(data[:position], loose=True))
        elif self._rest:
            self._rest += data
            if LF not in data:
                return events
            data = bytes(self._rest)
            self._rest.clear()
        while (end := data.find(LF, position)) >= 0:
            if data[position] == BRACE and data[end - 1] == END_BRACE:
                events.append(Event(data[position : end + 1], data[position:end]))
            else:
                events.append(_event(data[position : end + 1], first=not self._begun))
            self._begun = True
            position = end + 1
        if position < len(data):
            self._rest += data[position:]
        return events

    def finish(self) -> Event | None:
        """The rest, read as if its LF had come; None if there is no rest."""
        if not self._rest:
            return None
        raw = bytes(self._rest)
        self._rest.clear()
        return _event(raw, first=not self._begun)

    def let_go(self) -> bytes:
        """Gives up the rest: what follows up to its LF comes out of `receive` as it arrives, as loose events."""
        rest = bytes(self._rest)
        if rest:
            self._rest.clear()
            self._begun = self.is_loose = True
        return rest


def _event(raw: bytes, *, first: bool) -> Event:
    """A line of any form; the first one may begin with a byte order mark."""
    bom = first and raw.startswith(BOM)
    text = raw[len(BOM) :] if bom else raw
    text = text.removesuffix(b"\n").removesuffix(b"\r").lstrip(b"\x1e")
    # Blanks prove that the upstream lives, and are no JSON.
    return Event(raw, text if text.strip(b" \t\r") else None, bom=bom)
