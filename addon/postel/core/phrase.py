"""Texts that only restate a status: `Bad Gateway`, `404: Not Found`, `Error 500`.

Owns the list of them. Such a text is no evidence beyond the status and no help to a client. Called by `body`,
`errorobject` and `message`.
"""

from __future__ import annotations

import re
from http import HTTPStatus

_PHRASES = {status.phrase.lower() for status in HTTPStatus} | {
    "authorization required",  # nginx
    "not allowed",
    "gateway time-out",
    "request time-out",
    "request entity too large",
    "request-uri too large",
    "request header or cookie too large",
    "payload too large",
    "unprocessable entity",
    "server error",
    "proxy error",  # Apache
    "error",
    "unknown",
    "unknown error",
    "unknown status",
    "status",
    "client closed request",
}
_STATUS = re.compile(r"(?:http )?(?:error:? )?(?:\d{3}\b[:\s-]*)?([^\d()]*)(?:\(\d{3}\))?", re.ASCII)
_LONGEST = 60


def is_phrase(text: str) -> bool:
    """Whether the text is a status phrase, a status number, or both; an empty text counts."""
    if len(text) > _LONGEST:
        return False
    text = " ".join(text.lower().split()).rstrip(" .!:")
    match = _STATUS.fullmatch(text)
    words = match[1].strip() if match else text
    return not words or words in _PHRASES
