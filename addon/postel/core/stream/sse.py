"""The bytes of an event stream into events, as they come (WHATWG HTML, section 9.2, "Server-sent events").

Owns line ends, fields and where an event ends. Knows neither JSON nor what an event means, and never changes a byte:
the `raw` of all events and the rest are what was received. Called by `guard` with every piece from the upstream, so
the usual event (a `data:` line, perhaps an `event:` line before it) costs a few searches in C. Linear in bytes,
however they are cut.
"""

from __future__ import annotations

import re
from io import BytesIO

from postel.core.stream.event import BOM, Event

# Numbers, because CPython finds a byte by its number several times faster than by a string of one.
LF, CR, SPACE = b"\n\r "

_LINE_END = re.compile(rb"\r\n?|\n")
# A line end and that of the blank line after it. CR LF is one line end, so it is not both of them.
_BLANK_LINE = re.compile(rb"(?:\n|\r(?=\r))(?:\r\n?|\n)")


class SseReader:
    """A blank line ends an event; one that nothing stands before is an event of its own.

    A CR ends its line at once, because an event must not wait for a LF that may never come. If it does come, it stands
    at the front of the next event's `raw` and means nothing there.
    """

    __slots__ = ("_last", "_lead", "_rest", "is_loose")

    def __init__(self) -> None:
        self._rest = bytearray()
        # What may stand before the text of the next event: the mark at the start, the LF of a CR that came alone.
        self._lead = BOM
        self._last = b""  # the last byte of a loose event so far
        self.is_loose = False
        """In the middle of an event that was given up."""

    @property
    def rest(self) -> bytes:
        """What came after the last whole event."""
        return bytes(self._rest)

    @property
    def held(self) -> int:
        return len(self._rest)

    def receive(self, data: bytes) -> list[Event]:
        """The events that are whole now, in order."""
        events: list[Event] = []
        if self.is_loose:
            data = self._pass(data, events)
        if self._rest:
            data = self._join(data)
        position = 0
        if self._lead and (position := self._first(data, events)) < 0:
            self._rest += data
            return events
        end_of_line = b"\n" if CR not in data else _only_line_end(data)
        if end_of_line:
            position = _usual(data, position, end_of_line, events)
        size = len(data)
        while position < size and (stop := _end(data, position, end_of_line)) > 0:
            events.append(_event(data[position:stop]))
            position = _usual(data, stop, end_of_line, events) if end_of_line else stop
        if position < size:
            self._rest += data[position:]
        elif end_of_line != b"\n" and data.endswith(b"\r"):
            self._lead = b"\n"
        return events

    def finish(self) -> Event | None:
        """The rest, read as if the blank line had come; None if there is no rest."""
        if not self._rest:
            return None
        raw = bytes(self._rest)
        self._rest.clear()
        return _event(raw, self._skip(raw))

    def let_go(self) -> bytes:
        """Gives up the rest: what follows up to its end comes out of `receive` as it arrives, as loose events."""
        rest = bytes(self._rest)
        if rest:
            # A lone mark, or the LF after a CR, begins no event.
            self.is_loose = rest != self._lead
            self._last = rest[-1:]
            self._rest.clear()
            self._lead = b""
        return rest

    def _skip(self, data: bytes) -> int:
        return len(self._lead) if data.startswith(self._lead) else 0

    def _first(self, data: bytes, events: list[Event]) -> int:
        """The event that something may stand before; returned is where the next begins, -1 if it is not whole."""
        skip = self._skip(data)
        stop = _end(data, skip)
        if stop > 0:
            events.append(_event(data[:stop], skip))
            self._lead = b""
        return stop

    def _join(self, data: bytes) -> bytes:
        """The rest and what follows it, or nothing as long as no event in it is whole.

        What was searched before is not searched again, and nothing is copied before an event is whole. The next rest
        is then no longer than `data`, so that no byte is copied more than a few times.
        """
        rest = self._rest
        before = len(rest)
        rest += data
        # Up to the length of a lead the rest may hold no text yet, and then one line end is a blank line.
        if before > len(BOM):
            if CR in data:
                if not _BLANK_LINE.search(rest, before - 1):
                    return b""
            elif LF not in data or rest.find(b"\n\n", before - 1) < 0:
                return b""
        data = bytes(rest)
        rest.clear()
        return data

    def _pass(self, data: bytes, events: list[Event]) -> bytes:
        """The loose event goes on; returned is what follows it."""
        if not data:
            return data
        found = _BLANK_LINE.search(self._last + data)
        stop = found.end() - 1 if found else len(data)
        events.append(Event(data[:stop], loose=True))
        self._last = data[-1:]
        if found:
            self.is_loose = False
            if stop == len(data) and self._last == b"\r":
                self._lead = b"\n"
        return data[stop:]


def _only_line_end(data: bytes) -> bytes:
    """CR LF if every line ends so; nothing if there are others as well. There is a CR in it."""
    pairs = data.count(b"\r\n")
    return b"\r\n" if pairs == data.count(CR) == data.count(LF) else b""


def _usual(data: bytes, position: int, end_of_line: bytes, events: list[Event]) -> int:
    """Takes events of a `data:` line, or of an `event:` and a `data:` line; returned is where the first other begins.

    All lines of `data` end in `end_of_line`. Where nothing is found, -1 is no place where a blank line could begin.
    Most of what a stream costs is spent here.
    """
    first, width = end_of_line[0], len(end_of_line)
    blank = end_of_line + end_of_line
    append, find, startswith = events.append, data.find, data.startswith
    size = len(data)
    while position < size:
        if startswith(b"data:", position):
            end = find(first, position)
            if not startswith(blank, end):
                return position
            stop = end + width + width
            value = position + 6 if data[position + 5] == SPACE else position + 5
            append(Event(data[position:stop], data[value:end]))
        elif startswith(b"event:", position):
            end = find(first, position)
            second = end + width
            if end < 0 or not startswith(b"data:", second):
                return position
            name = position + 7 if data[position + 6] == SPACE else position + 6
            word = data[name:end].decode("utf-8", "replace") or None
            end = find(first, second)
            if not startswith(blank, end):
                return position
            stop = end + width + width
            value = second + 6 if data[second + 5] == SPACE else second + 5
            append(Event(data[position:stop], data[value:end], word))
        else:
            return position
        position = stop
    return position


def _end(data: bytes, start: int, end_of_line: bytes = b"") -> int:
    """Where the event ends whose text starts there; -1 if it does not.

    `end_of_line` is what all lines of `data` end in; empty if they differ.
    """
    if end_of_line:
        if data.startswith(end_of_line, start):
            return start + len(end_of_line)
        end = data.find(end_of_line + end_of_line, start)
        return end if end < 0 else end + 2 * len(end_of_line)
    found = _LINE_END.match(data, start) or _BLANK_LINE.search(data, start)
    return found.end() if found else -1


def _event(raw: bytes, skip: int = 0) -> Event:
    """An event of any form. The first `skip` bytes are no text."""
    text = raw[skip:]
    if CR in text:
        text = text.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not text.endswith(b"\n"):
        text += b"\n"
    data: bytes | bytearray | None = None
    name = None
    stray = bytearray()
    # One line after the other, and none kept: a large event of tiny lines must not become many times its size.
    for line in BytesIO(text):
        if line.startswith(b"data:") or line == b"data\n":
            value = line[6:-1] if line.startswith(b" ", 5) else line[5:-1]
            if data is None:
                data = value
            else:
                if isinstance(data, bytes):
                    data = bytearray(data)
                data += b"\n"
                data += value
        elif line.startswith(b"event:") or line == b"event\n":
            value = line[7:-1] if line.startswith(b" ", 6) else line[6:-1]
            name = value.decode("utf-8", "replace") or None
        elif not line.startswith((b"\n", b":", b"id:", b"retry:")) and line not in (b"id\n", b"retry\n"):
            stray += line
    if isinstance(data, bytearray):
        data = bytes(data)
    return Event(raw, data, name, bytes(stray[:-1]), skip == len(BOM))
