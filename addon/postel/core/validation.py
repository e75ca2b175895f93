"""pydantic's list of validation errors, as FastAPI sends it in `detail` and engines print it into their messages.

Owns what is told of such a list: `msg` and the field, never `input`, which repeats the request. Called by
`errorobject`.
"""

from __future__ import annotations

from postel.core.found import Found, joined, path_of, text_of
from postel.core.jsontext import Json

_TOLD = 4
"""Entries that are told: a message is no report."""


def is_list(value: list[Json]) -> bool:
    """Whether the first entry is one of pydantic's, version 1 or 2."""
    first = value[0] if value else None
    return isinstance(first, dict) and "loc" in first and "msg" in first


def read(items: list[Json]) -> Found:
    """The entries as `messages.0.role: Field required; model: ...`.

    Type and param are the first entry's; where that one names no field, the param is the next entry's that does.
    """
    told: dict[str, None] = {}
    found = Found()
    for item in items[:_TOLD]:
        if not isinstance(item, dict) or (words := text_of(item.get("msg"))) is None:
            continue
        context = item.get("ctx")
        cause = text_of(context.get("error")) if isinstance(context, dict) else None
        kind = text_of(item.get("type"))
        # the place of a JSON syntax error is an offset: ["body", 15]
        field = None if kind and "json" in kind else path_of(item.get("loc"))
        words = joined(words, cause) if cause else words
        told[f"{field}: {words}" if field else words] = None
        found = found.over(Found(type=kind, param=field, error=item))
    return Found("; ".join(told) or None).over(found)
