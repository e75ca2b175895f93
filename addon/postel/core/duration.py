"""Lengths and points of time as people and protocols write them.

Owns the reading of one value; which value counts is `retry`'s matter. Called by `retry` and, for `retry_after:` in
rules, by `rules` and `rulefile`. Never raises.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from email.utils import mktime_tz, parsedate_tz

_SECONDS = {
    **dict.fromkeys(("ns", "nanosecond", "nanoseconds"), 1e-9),
    **dict.fromkeys(("us", "µs", "μs", "microsecond", "microseconds"), 1e-6),
    **dict.fromkeys(("ms", "msec", "msecs", "millisecond", "milliseconds"), 1e-3),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "week", "weeks"), 604800.0),
}
_PART = re.compile(
    r"(\d{1,18}(?:\.\d{1,18})?)['\"]?\s?([a-zµμ]{1,12})(?:\(s\))?(?:\s?,\s?|\s?and\s|\s)?", re.IGNORECASE | re.ASCII
)
_CLOCK = re.compile(r"(?:(\d{1,4})\.)?(\d{1,4}):([0-5]\d):([0-5]\d(?:\.\d{1,9})?)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d{1,18}(?:\.\d{0,18})?|\.\d{1,18})", re.ASCII)
_LONGEST = 64


def parse_duration(text: str) -> float | None:
    """Seconds in a duration: `20ms`, `6.2s`, `6m0s`, `1 minute 30 seconds`, `04:00:00` (hours first).

    A unit is required: a bare number is None, as is anything negative. Zero is a duration.
    """
    text = text.strip()
    if not text or len(text) > _LONGEST:
        return None
    if clock := _CLOCK.fullmatch(text):
        days = int(clock[1] or 0)  # .NET writes `14.07:13:56`
        return (days * 24 + int(clock[2])) * 3600 + int(clock[3]) * 60 + float(clock[4])
    seconds, at = 0.0, 0
    while at < len(text):
        part = _PART.match(text, at)
        unit = _SECONDS.get(part[2].lower()) if part else None
        if not part or unit is None:
            return None
        seconds += float(part[1]) * unit
        at = part.end()
    return seconds


def parse_number(text: str) -> float | None:
    """A plain finite decimal number: `30`, `6.2`; neither `1e9` nor `nan`."""
    text = text.strip()
    return float(text) if _NUMBER.fullmatch(text) else None


def parse_time(text: str) -> float | None:
    """Seconds since the epoch of an HTTP date (RFC 9110 section 5.6.7) or an RFC 3339 time; UTC if it names no zone."""
    text = text.strip()
    if not 8 <= len(text) <= _LONGEST:
        return None
    try:
        if text[:4].isdigit() and "-" in text:
            moment = datetime.fromisoformat(text)
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
        if text[0].isalpha() and (parts := parsedate_tz(text)):
            return float(mktime_tz(parts))
    except (
        ValueError,
        TypeError,
        IndexError,
        OverflowError,
    ):  # parsedate_tz trusts its input: "Fri, 99999999999999999999"
        return None
    return None


def is_usable(seconds: float | None) -> bool:
    """Whether a wait can be told to a client: positive, finite, and no longer than a year."""
    return seconds is not None and math.isfinite(seconds) and 0 < seconds <= _LONGEST_WAIT


_LONGEST_WAIT = 366 * 86400.0
