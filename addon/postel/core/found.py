"""What one error object says, and how its single fields are read.

Owns the shape of a find and the spellings of `type`, `code` and `param`. Where error objects are is `errorobject`'s
matter. Called by `errorobject`, `validation` and `body`. Never raises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from postel.core.jsontext import Json

Scalar = str | int | float | bool

Folded = Mapping[str, Json]
"""An object by its keys in lower case without `_`, `-` and spaces, so that `errorCode` is `error_code`."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one error object says; None where it is silent. `param` is a path with dots, `error` the object itself."""

    message: str | None = None
    type: Scalar | None = None
    code: Scalar | None = None
    param: str | None = None
    error: dict[str, Json] | None = None

    def over(self, outer: Found) -> Found:
        """This one, and where it is silent the one around it."""
        return Found(
            self.message or outer.message,
            outer.type if self.type is None else self.type,
            outer.code if self.code is None else self.code,
            self.param or outer.param,
            outer.error if self.error is None else self.error,
        )


def fold(value: Mapping[str, Json]) -> dict[str, Json]:
    """The object by its folded keys; of two keys that fold alike the first counts."""
    folded: dict[str, Json] = {}
    for key, item in value.items():
        folded.setdefault(key.lower().replace("_", "").replace("-", "").replace(" ", ""), item)
    return folded


def joined(first: str, second: str) -> str:
    """`first: second`, or the longer one if it holds the other."""
    if first.lower() in second.lower():
        return second
    return first if second.lower() in first.lower() else f"{first.rstrip(' .:')}: {second}"


def text_of(value: Json) -> str | None:
    """The text without white space around it; None if that is empty, or no text."""
    return value.strip() or None if isinstance(value, str) else None


def scalar_of(value: Json) -> Scalar | None:
    """A text that is not empty, a finite number, or a boolean."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float) else None


_NO_TYPES = ("error", "about:blank", "response.failed", "message-end")
_STATUS_NAME = re.compile(r"[A-Z][A-Z_]{2,60}", re.ASCII)


def type_of(folded: Folded) -> Scalar | None:
    """`type`; else AWS's `__type` without its namespace, google.rpc.Status' `status`, Kubernetes' `reason`."""
    for key in ("errortype", "type"):
        kind = scalar_of(folded.get(key))
        if kind is not None and kind not in _NO_TYPES:
            return kind.rpartition("#")[2] if isinstance(kind, str) and kind.startswith("com.") else kind
    status, reason = text_of(folded.get("status")), text_of(folded.get("reason"))
    if status and _STATUS_NAME.fullmatch(status):
        return status
    return reason if reason and folded.get("kind") == "Status" else None


def code_of(folded: Folded) -> Scalar | None:
    """`code`, `error_code` or `errcode`; else the one in `details` (Anthropic's spend limit, Apigee's errorcode)."""
    details = folded.get("details", folded.get("detail"))
    for place in (folded, fold(details) if isinstance(details, dict) else {}):
        for key in ("errorcode", "code", "errcode", "errno"):
            if (code := scalar_of(place.get(key))) is not None:
                return code
    return None


def param_of(folded: Folded) -> str | None:
    """`param`, `parameter` or `field` as it was written, a list of steps as a path; else pydantic's `loc`."""
    for key in ("param", "parameter", "field"):
        value = folded.get(key)
        if isinstance(value, str) and value.strip():
            return value.strip()
        if isinstance(value, list):
            return path_of(value)
    return path_of(folded.get("loc"))


_NAME = re.compile(r"[a-z_][a-z0-9_]*", re.ASCII)


def path_of(loc: Json) -> str | None:
    """Where a validation error is, with dots: `messages.0.content`.

    `body` in front is FastAPI's; names of classes and validators between are pydantic's way through a union; a number
    alone is an offset into the JSON text.
    """
    steps = loc.split(".") if isinstance(loc, str) else loc if isinstance(loc, list) else []
    path = [
        str(step)
        for step in steps
        if isinstance(step, int | str) and (str(step).isdigit() or _NAME.fullmatch(str(step)))
    ]
    if path and path[0] in ("body", "__root__"):
        path = path[1:]
    return ".".join(path) if any(not step.isdigit() for step in path) else None
