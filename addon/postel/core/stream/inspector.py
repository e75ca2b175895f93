"""What one event of a stream is: good, empty, unreadable, the last one, or a failure.

Owns the judging: which events the rules are asked about, what is mended, when something unreadable is forgiven, and
whether a stream is complete. Knows no time and sends nothing: `guard` asks it and decides what leaves.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from enum import IntEnum
from typing import NamedTuple

from postel.core.evidence import BODY_LIMIT, End, Evidence, Headers, Phase, Request
from postel.core.jsontext import Json
from postel.core.render import Reply
from postel.core.stream.event import BOM, Event
from postel.core.stream.policy import StreamPolicy
from postel.core.stream.protocol import (
    FAILED,
    Progress,
    Protocol,
    has_output,
    is_json_path,
    is_openai_path,
)
from postel.core.stream.suspicion import is_failed_name, may_be_error

Judge = Callable[[Evidence], Reply | None]

_FIELDS = (b"data", b"event", b"id", b"retry")

_API = (Protocol.OPENAI, Protocol.RESPONSES, Protocol.MESSAGES, Protocol.NATIVE)

# How a text begins that is no word of an answer.
_ALARM = re.compile(
    rb"\W{0,4}(?:[\w.]*(?:error|exception)\b\W{0,3}:|error\]|traceback|fatal|panic"
    rb"|<(?:!doctype|!--|(?:html|head|body|title|center|h1|\?xml|error)\b)"  # `<think>` is a word like any other
    rb"|internal server error|bad gateway|service unavailable|gateway time-?out)",
    re.IGNORECASE,
)
_WORD_IN_BRACKETS = re.compile(rb"\[[A-Za-z_ ]+\]")


PATIENCE = 64
"""Questions to the rules that may lead to nothing in one read of the wire: each takes a tenth of a millisecond."""


class Kind(IntEnum):
    """What is to be done with an event."""

    DROPPED = 0  # it does not leave
    ASIDE = 1  # it leaves, and is no event: a comment, a blank line
    OPENING = 2  # good, and without output
    OUTPUT = 3  # good
    LAST = 4  # good, and its protocol's end
    FAILURE = 5  # the stream ends here; what there is of `raw` leaves before that is told


class Look(NamedTuple):
    """One event, looked at: `raw` are the bytes that leave, `reply` is what to tell of a FAILURE.

    `plain`: it is a server-sent event, and good by its shape alone, whatever its texts say.
    """

    kind: Kind
    raw: bytes = b""
    reply: Reply | None = None
    plain: bool = False


_DROPPED = Look(Kind.DROPPED)


class Inspector:
    """The judge of one stream. `repaired` counts what was mended, by the name of the repair, and what was dropped.

    `events` are those with data that were found good. `unseen` says that one was too large to be looked at, and nobody
    knows what it was. `patience` is how often the rules may still be asked in vain; the guard renews it with each read.
    """

    __slots__ = (
        "_cut_line",
        "_doubt",
        "_headers",
        "_is_api",
        "_judge",
        "_policy",
        "_request",
        "_spoken",
        "events",
        "lines",
        "patience",
        "progress",
        "repaired",
        "unseen",
    )

    def __init__(self, judge: Judge, request: Request, headers: Headers, policy: StreamPolicy, *, lines: bool) -> None:
        self._judge = judge
        self._request = request
        self._headers = headers
        self._policy = policy
        self.lines = lines
        self._is_api = is_json_path(request.path)
        self._spoken = False  # there was output, and what follows need not have any
        self._cut_line = False  # an event that ended with CR was dropped, and its LF may yet come
        self._doubt: Reply | None = None  # what to tell of an unreadable event, should no good one follow
        self.progress = Progress()
        self.patience = PATIENCE
        self.unseen = False
        self.events = 0
        self.repaired: Counter[str] = Counter()

    @property
    def is_calm(self) -> bool:
        """Whether nothing unreadable waits for what comes after it."""
        return self._doubt is None

    # One event --------------------------------------------------------------------------------------------------------

    def look(self, event: Event) -> Look:
        """What an event is. It counts from here on."""
        if event.bom:
            event = self._without_bom(event)
        if self._cut_line:
            self._cut_line = False
            if event.raw[:1] == b"\n":
                event = event._replace(raw=event.raw[1:])
        data = event.data
        if event.stray and (look := self._stray(event)):
            return look
        if data is None:
            return Look(Kind.ASIDE, event.raw)
        if data[:1] == b"{" and self.progress.protocol is not Protocol.TEXT:
            return self._data(event, data)
        text = data.strip()
        if text == b"[DONE]" and not self.lines:
            return self._done(event)
        if self.progress.protocol is Protocol.TEXT and not is_failed_name(event.name):
            return self._good(event, Kind.OUTPUT)
        if text:
            return self._data(event, data)
        if "empty_data" not in self._policy.repairs or not self._is_api_stream:
            return Look(Kind.ASIDE, event.raw)  # other applications mean something by it
        self.repaired["empty_data"] += 1  # every SDK fails to parse it
        return self._drop(event)

    @property
    def _is_api_stream(self) -> bool:
        """Whether a model speaks here to an SDK, as far as is known by now."""
        return self._is_api or self.progress.protocol in _API

    def _is_judged(self, event: Event) -> bool:
        """Whether an event may be a failure. What is fetched elsewhere is a feed, of logs perhaps, full of errors."""
        return self._request.method != "GET" or self._is_api_stream or is_failed_name(event.name)

    def _drop(self, event: Event) -> Look:
        self._cut_line = event.raw.endswith(b"\r")
        return _DROPPED

    def _data(self, event: Event, data: bytes) -> Look:
        try:
            document = json.loads(data.decode())
        except UnicodeDecodeError:
            mended = self._mended(event, data)
            return self.look(mended) if mended else self._no_object(event, readable=_is_json(data))
        except (ValueError, RecursionError):
            return self._no_object(event, readable=False)
        if type(document) is list and len(document) == 1:
            document = document[0]  # Gemini wraps its errors
        return self._document(event, document) if type(document) is dict else self._no_object(event, readable=True)

    def _document(self, event: Event, document: dict[str, Json]) -> Look:
        progress = self.progress
        plain = not (self.lines or event.stray)
        if self._is_judged(event) and may_be_error(document, event.name, api=self._is_api_stream):
            plain = False
            failed = document.get("type") == "response.failed"
            if failed:
                progress.note(document)
            marked = failed or bool(document.get("error")) or document.get("type") == "error"
            if reply := self._ask(event, always=marked or is_failed_name(event.name)):
                # Whoever reads `response.status` finds it in the event; the SDKs need to be told.
                return Look(Kind.FAILURE, event.raw if failed else b"", reply)
            progress.terminal = progress.terminal or failed
        if reason := progress.note(document):
            plain = False
            if reply := self._ask_finish(event, reason):
                return Look(Kind.FAILURE, reply=reply)
        if progress.terminal:
            return self._good(event, Kind.LAST)
        self._spoken = self._spoken or has_output(document)
        return self._good(event, Kind.OUTPUT if self._spoken else Kind.OPENING, plain=plain)

    def _good(self, event: Event, kind: Kind, *, plain: bool = False) -> Look:
        self.forgive()
        self.events += 1
        return Look(kind, event.raw, None, plain)

    def forgive(self) -> None:
        """Something unreadable did no harm: a good event came after it, or the stream was complete."""
        if self._doubt:
            self._doubt = None
            self.repaired["malformed"] += 1

    def _done(self, event: Event) -> Look:
        """OpenAI's terminator, which engines send after a failure, too."""
        silent = self.progress.ends_silently and not is_openai_path(self._request.path)
        if not (self.progress.is_finished or self.unseen or (silent and self.events)):
            reply = self._doubt or self.explain(End.CLOSED, None)
            if reply:
                return Look(Kind.FAILURE, reply=reply)
        self.forgive()
        return Look(Kind.LAST, event.raw)

    def _stray(self, event: Event) -> Look | None:
        """Lines that are no field; None if there is an event among them that is worth a look of its own."""
        reply = self._ask(event)
        if event.data is not None:
            if reply is None or reply.base == "stream_malformed":
                return None  # every client ignores a field that SSE does not know
            return Look(Kind.FAILURE, reply=reply)
        return self._suspect(event, reply) if reply else Look(Kind.ASIDE, event.raw)

    def _no_object(self, event: Event, *, readable: bool) -> Look:
        """Data that is no JSON object; `readable`: it is JSON all the same."""
        progress = self.progress
        new = progress.protocol is Protocol.UNKNOWN and not self._is_api
        if self.lines and readable:
            if new:
                progress.protocol = Protocol.OTHER
        elif self._is_text(event):
            if new:
                progress.protocol = Protocol.TEXT
        elif reply := self._ask(event, readable=readable):
            return self._suspect(event, reply)
        elif new:
            progress.protocol = Protocol.OTHER if self.lines else Protocol.TEXT
        return self._good(event, Kind.OUTPUT)

    def _is_text(self, event: Event) -> bool:
        """Whether this is a word of a protocol that promises no JSON, and nothing to be asked about."""
        if self._is_api or self.lines or is_failed_name(event.name):
            return False
        data = (event.data or b"").strip()
        match self.progress.protocol:
            case Protocol.UNKNOWN:
                return not _ALARM.match(data) or not self._is_judged(event)
            case Protocol.OTHER:  # `ping`, `[END]`, `null`: most protocols have a word that is no JSON
                return data[:1] not in (b"{", b"[", b"<") or _WORD_IN_BRACKETS.fullmatch(data) is not None
        return False

    def _suspect(self, event: Event, reply: Reply) -> Look:
        """What cannot be read, and nobody knows why, is held back until there is more of it or a good event."""
        if self.progress.is_finished:  # all there is to say was said
            self.repaired["malformed"] += 1
            return self._drop(event)
        if reply.base != "stream_malformed" or self._policy.strict or self._doubt:
            return Look(Kind.FAILURE, reply=self._doubt or reply)
        self._doubt = reply
        return self._drop(event)

    def give_up(self, event: Event) -> Reply | None:
        """What to tell of a stream that brings nothing but blocks without data; None if it was complete before."""
        if self.progress.is_finished:
            return None
        return self._doubt or self._ask(Event(event.raw, b""), readable=False, always=True)

    def _without_bom(self, event: Event) -> Event:
        if "bom" not in self._policy.repairs:
            return event
        self.repaired["bom"] += 1
        return event._replace(raw=event.raw.removeprefix(BOM), bom=False)

    def _mended(self, event: Event, data: bytes) -> Event | None:
        """The event with what is no UTF-8 replaced, as every client would read it (WHATWG HTML 9.2.6)."""
        if "utf8" not in self._policy.repairs or self._policy.strict:
            return None
        self.repaired["utf8"] += 1
        return event._replace(raw=_utf8(event.raw), data=_utf8(data))

    # Asking the rules -------------------------------------------------------------------------------------------------

    def _ask(self, event: Event, *, readable: bool = True, always: bool = False) -> Reply | None:
        """What the rules say of an event; `always`, however often they were asked in vain: it calls itself an error."""
        if self.patience <= 0 and not always:
            return None
        reply = self._judge(
            Evidence(
                phase=Phase.EVENT,
                request=self._request,
                headers=self._headers,
                body=(event.stray or event.raw)[:BODY_LIMIT],
                event=event.name,
                stray=bool(event.stray),
                readable=readable,
            )
        )
        self.patience -= reply is None or reply.base == "stream_malformed"
        return reply

    def _ask_end(self, how: End, rest: bytes) -> Reply | None:
        return self._judge(
            Evidence(
                phase=Phase.END,
                request=self._request,
                headers=self._headers,
                body=rest[:BODY_LIMIT],
                end=how,
                finish_reason=self.progress.finish_reason,
                events=self.events,
            )
        )

    def _ask_finish(self, event: Event, reason: str) -> Reply | None:
        """A finish reason that is none of OpenAI's: what the event says beside it, else what the reason means."""
        if (reply := self._ask(event)) and reply.base != "stream_malformed":
            return reply
        reply = self._ask_end(End.CLOSED, b"")
        return reply if reply and (reply.rule or reason in FAILED) else None

    # The end ----------------------------------------------------------------------------------------------------------

    def is_complete(self, how: End, rest: Event | None) -> bool:
        """Whether nothing is missing, now that the body ended. `rest` is a fragment that does not leave.

        Where the protocol has no mark of its end, a fragment is one of a stream that was cut.
        """
        if self.progress.is_finished or (self.unseen and how is End.CLOSED):
            return True
        silent = (self.progress.ends_silently and self.events > 0) or self._may_be_empty
        return how is End.CLOSED and silent and not rest and not self._doubt

    @property
    def _may_be_empty(self) -> bool:
        """Whether nothing at all is an answer: no news in a feed."""
        return not self.events and not self._is_api_stream and self._request.method == "GET"

    def look_at_rest(self, rest: Event) -> Look:
        """What came after the last whole event of a body that ended properly.

        JSON without its blank line is an event, for which some clients need the line. A fragment does not leave.
        """
        if rest.stray or rest.data is None:
            return _DROPPED if rest.stray else Look(Kind.ASIDE, rest.raw)
        if rest.data.strip() == b"[DONE]" and not self.lines:
            return self.look(rest)  # no SDK needs the blank line
        if self.progress.protocol is not Protocol.TEXT and not _is_json(rest.data):
            return _DROPPED
        if self.lines or "blank_line" not in self._policy.repairs:
            return self.look(rest)
        self.repaired["blank_line"] += 1
        newline = b"\r\n" if b"\r" in rest.raw else b"\n"
        if rest.raw.endswith(b"\r"):
            missing = b"\n" + newline  # half a line end
        else:
            missing = newline if rest.raw.endswith(b"\n") else newline * 2
        return self.look(rest._replace(raw=rest.raw + missing))

    def explain(self, how: End, rest: Event | None) -> Reply | None:
        """Why a stream stopped before it was complete; None where a rule says that such streams end so."""
        reply = self._ask_end(how, rest.raw if rest else b"")
        if reply is None or reply.rule:
            return reply
        stray = rest is not None and _is_stray(rest.stray)
        if rest and (stray or (rest.data and not _is_json(rest.data))):
            told = self._ask(rest)
            if told and (told.base != "stream_malformed" or (stray and how is End.CLOSED)):
                return told
        return self._doubt or reply


def _utf8(data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode()


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return False
    return True


def _is_stray(text: bytes) -> bool:
    """Whether this is more than the beginning of a field's name."""
    return bool(text) and not any(name.startswith(text) for name in _FIELDS)
