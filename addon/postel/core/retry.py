"""How long an upstream asked its client to wait, in whichever of its many ways.

Owns the places where a wait may stand and their order (DESIGN section 6). Knows neither faults nor defaults: whether a
wait is told at all is decided by who asks. Called by `normalise`. Pure: the time is an argument. Never raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from postel.core import regex
from postel.core.body import Reading
from postel.core.duration import is_usable, parse_duration, parse_number, parse_time
from postel.core.evidence import Headers
from postel.core.found import fold
from postel.core.jsontext import MISSING, Json

__all__ = ["parse_duration", "told_wait"]


def _never(_words: str) -> bool:
    return False


def told_wait(
    headers: Headers,
    reading: Reading,
    now: float,
    *,
    status: int | None = None,
    is_echo: Callable[[str], bool] = _never,
) -> float | None:
    """Seconds the upstream asked for; None if it named no usable wait.

    `now` is in seconds since the epoch; dates are held against the upstream's own `Date` where it sent one. Zero,
    negative, unreadable and absurd values (over 366 days) count as not given, and the next place is asked. `status` 429
    proves that some limit was hit, for upstreams that do not say how much of it remains. Words for which `is_echo`
    holds, and which do not begin the text, are the client's own and say nothing.
    """
    date = headers.get_all("date")
    now = (parse_time(date[0]) if date else None) or now
    sources = (
        _headers(headers, now),
        _fields(reading, now),
        _buckets(headers, reading, now, status),
        _prose(reading, is_echo),
    )
    return next((wait for source in sources for wait in source if is_usable(wait)), None)


# --- headers that say it ----------------------------------------------------------------------------------------------

_MILLISECONDS = ("retry-after-ms", "x-ms-retry-after-ms")
_SECONDS = ("retry-after", "x-retry-in", "x-retry-after", "llm_provider-retry-after")  # Traefik; LiteLLM's copy


def _headers(headers: Headers, now: float) -> Iterator[float]:
    for name in _MILLISECONDS:
        for value in headers.get_all(name):
            if (milliseconds := parse_number(value)) is not None:
                yield milliseconds / 1000
    for name in _SECONDS:
        for value in headers.get_all(name):
            yield from _moment(value, now, epoch=False)


def _moment(value: str, now: float, *, epoch: bool) -> Iterator[float]:
    """A number of seconds, a duration with units, a date. With `epoch`, large numbers are points of time."""
    if (number := parse_number(value)) is not None:
        yield _since(number, now) if epoch else number
    elif (duration := parse_duration(value)) is not None:
        yield duration
    elif (time := parse_time(value)) is not None:
        yield time - now


def _since(number: float, now: float) -> float:
    """By magnitude: milliseconds since the epoch (OpenRouter), seconds since the epoch (GitHub), or plain seconds."""
    if number > 1e12:
        return number / 1000 - now
    return number - now if number > 1e9 else number


# --- fields of the body -----------------------------------------------------------------------------------------------

_FIELDS: Mapping[str, float] = {
    "retrydelay": 1,  # google.rpc.RetryInfo
    "retryafterms": 0.001,
    "retryafter": 1,
    "retryafterseconds": 1,
    "retryin": 1,
    "retryinseconds": 1,
    "resetsinseconds": 1,
    "resetinseconds": 1,
    "resetafter": 1,
    "estimatedtime": 1,  # Hugging Face, while a model loads
}
# Where such fields are; nowhere else, for `input` and the like repeat what the client sent.
_CONTAINERS = (
    "error",
    "errors",
    "detail",
    "details",
    "metadata",
    "data",
    "extra",
    "context",
    "response",
    "fault",
    "parameters",
)
_OBJECTS = 64


def _fields(reading: Reading, now: float) -> Iterator[float]:
    for folded in _objects(reading):
        for key, scale in _FIELDS.items():
            value = folded.get(key)
            if isinstance(value, dict):  # a protobuf duration in full
                value = value.get("seconds")
            if isinstance(value, bool):
                continue
            if isinstance(value, int | float):
                yield value * scale if abs(value) < 1e18 else 0
            elif isinstance(value, str):
                number = parse_number(value)
                yield from _moment(value, now, epoch=False) if number is None else (number * scale,)
    for folded in _objects(reading):
        if isinstance(sent := folded.get("headers"), dict):  # OpenRouter quotes the headers of its provider
            quoted = Headers.of((name, str(value)) for name, value in sent.items() if isinstance(value, str | int))
            yield from _headers(quoted, now)
            yield from _exhausted(quoted, now)


def _objects(reading: Reading) -> Iterator[Mapping[str, Json]]:
    """The innermost error, then the document and the containers in it, from the outside in."""
    queue: list[Json] = [reading.error, None if reading.document is MISSING else reading.document]
    seen = 0
    while queue and seen < _OBJECTS:
        value = queue.pop(0)
        seen += 1
        if isinstance(value, list):
            queue += value[:8]
        elif isinstance(value, dict):
            folded = fold(value)
            yield folded
            queue += (folded[key] for key in _CONTAINERS if isinstance(folded.get(key), dict | list))


# --- rate limit buckets -----------------------------------------------------------------------------------------------

_STRUCTURED = regex.compile(r"(?:^|[;,\s])(?:r|remaining)=0(?:[;,\s][^,]*?)?[;,\s](?:t|reset)=(\d+)")
_LIMITS = regex.compile(r"rate|limit|quota|too[ _]many|throttl|exhausted|exceeded|slow down")


def _buckets(headers: Headers, reading: Reading, now: float, status: int | None) -> Iterator[float]:
    """When an exhausted bucket is full again; what the others' resets say is no wait.

    A bucket that does not tell what remains counts if the words name it, or if it is the only one and a limit was hit.
    """
    yield from _exhausted(headers, now)
    for value in headers.get_all(
        "ratelimit"
    ):  # IETF draft: "default";r=0;t=30, before that: limit=9, remaining=0, reset=30
        if match := _STRUCTURED.search(value):
            yield float((match.group(1) or "0")[:12])
    unknown = [(name, wait) for name, remaining, wait in _resets(headers, now) if remaining is None and is_usable(wait)]
    words = " ".join(str(part) for part in (reading.message, reading.type, reading.code) if part is not None).lower()
    named = [wait for name, wait in unknown if (parts := _parts(name)) and all(part in words for part in parts)]
    if named:
        yield max(named)
    elif len(unknown) == 1 and (status == 429 or _LIMITS.search(words)):
        yield unknown[0][1]


def _exhausted(headers: Headers, now: float) -> Iterator[float]:
    waits = [wait for _, remaining, wait in _resets(headers, now) if remaining == 0 and is_usable(wait)]
    if waits:
        yield max(waits)  # every exhausted bucket has to come back


def _resets(headers: Headers, now: float) -> Iterator[tuple[str, float | None, float]]:
    """Each `...ratelimit...reset...` header: name, what remains of its bucket (None: not said or -1), the wait."""
    for name, value in headers.fields:
        name = name.lower()
        if "reset" not in name or not ("ratelimit" in name or "rate-limit" in name):
            continue
        said = headers.get(name.replace("reset", "remaining", 1))
        remaining = parse_number(said.split(",")[0].split(";")[0]) if said else None
        for wait in _moment(value, now, epoch=True):
            yield name, None if remaining is not None and remaining < 0 else remaining, wait


_PLAIN = frozenset("x ai ratelimit rate limit reset llm_provider anthropic unified after".split())


def _parts(name: str) -> list[str]:
    """What a header's name says of its bucket: `x-ratelimit-reset-tokens-minute` is of `token` and `minute`."""
    return [part.removesuffix("s") for part in name.split("-") if part not in _PLAIN]


# --- prose ------------------------------------------------------------------------------------------------------------

_PIECE = r"\d{1,9}(?:\.\d{1,12})?['\"]?\s?[a-zµ]{1,12}"
_AMOUNT = (
    r"(?:about |approximately |around |another |at least )?[~'\"]{0,2}"
    rf"(\d{{1,4}}:\d{{2}}:\d{{2}}|{_PIECE}(?:\s?(?:,\s?|and )?{_PIECE}){{0,4}}\b)"
)
_SENTENCES = tuple(
    regex.compile(source)
    for source in (
        rf"\b(?:re)?try(?:ing)?(?: (?:your|the|this) request)?(?: again)? (?:after|in) {_AMOUNT}",
        rf"\b(?:available|ready|replenished|resets?|refreshed|renewed|restored)(?: again)? (?:after|in) {_AMOUNT}",
        rf"\bwait(?: for)? {_AMOUNT}",
        rf"\bretry[-_ ]?(?:after|delay|in)[\"']?\s?[:=]\s?[\"']?{_AMOUNT}",
    )
)
_BARE = regex.compile(
    r"\bretry[-_]?(?:after|delay)(?:_seconds)?[\"']?(?:\s?[:=]\s?[\"']?|\s?\{\s*seconds:\s?)(\d{1,9}(?:\.\d{1,9})?)\b"
)
_CACHED = "cached, "  # Xinference: "(cached, retry after 10.0s)" is how long it remembers the answer


def _prose(reading: Reading, is_echo: Callable[[str], bool]) -> Iterator[float]:
    """The words, last of all; and of a page or a text all of it, for the message may be its heading only."""
    texts = [reading.message or ""]
    if reading.kind in ("html", "xml", "text"):
        texts.append(reading.text)
    for text in texts:
        for sentence in _SENTENCES:
            for match in sentence.finditer(text):
                wait = _amount(match.group(1) or "")
                if wait is not None and not text[: match.start()].endswith(_CACHED) and not _echoed(match, is_echo):
                    yield wait
        for match in _BARE.finditer(text):
            if not _echoed(match, is_echo):
                yield float(match.group(1) or "0")


def _echoed(match: regex.Match, is_echo: Callable[[str], bool]) -> bool:
    return match.start() > 0 and is_echo(match.group() or "")


def _amount(text: str) -> float | None:
    """The longest beginning that is a duration: `1 minute 30 seconds`, and `20s` of `20s 3 requests`."""
    text = text.replace("'", "").replace('"', "")
    while text:
        if (seconds := parse_duration(text)) is not None:
            return seconds
        text = text.rpartition(" ")[0]
    return None
