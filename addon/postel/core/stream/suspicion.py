"""Which events of a stream the rules are asked about.

Owns the shapes in which streams tell of errors, and those that only look alike. Decides nothing: an event that no rule
takes for a failure is healthy. What is not asked about costs no rule, and no word in it can be mistaken. Asked by
`inspector` for each event.
"""

from __future__ import annotations

import re

from postel.core.jsontext import Json
from postel.core.stream.protocol import ANTHROPIC, Document

_FAILED_NAME = re.compile(r"(?:^|[._:/-])(?:error|exception|failed|failure|fatal)$", re.IGNORECASE)
_NEUTRAL_NAMES = frozenset({None, "message", "data", "result", "completion"})
_NOTHING = frozenset({"", "0", "ok", "null", "none", "false", "success"})

# Where no `error` says so: FastChat, Apigee, AWS, APISIX; Baidu and Tencent write it their way.
_MARKS = (
    "error_code",
    "errorCode",
    "errors",
    "errorMessage",
    "error_message",
    "error_msg",
    "errmsg",
    "err_msg",
    "ErrorMsg",
    "__type",
    "fault",
    "err",
    "exception",
)
_WRAPPERS = ("Exception", "StreamError", "StreamFailure")
_FAILURE = re.compile(
    r"error|exception|fail|denied|invalid|limit|exceed|exhaust|unavail|overload|time_?d?_?out|not_?found|unauth|forbidden"
    r"|quota|throttl|abort|refus|reject|missing|busy|inspection|unsupported|insufficient|internal|expired|arrearage",
    re.IGNORECASE,
)


def is_failed_name(name: str | None) -> bool:
    """Whether an event says by its name that something failed: `error`, `thread.run.failed`."""
    return name is not None and (name == "error" or _FAILED_NAME.search(name) is not None)


def may_be_error(event: Document, name: str | None, *, api: bool) -> bool:
    """Whether the rules should be asked about an event.

    `api` says that the stream is one whose events have `choices` or a `type`: there a bare `message` is no token.
    """
    if is_failed_name(name):
        return True
    if (error := event.get("error")) and _is_error(error, event, api=api):
        return True
    kind = event.get("type")
    if isinstance(kind, str) and (kind == "error" or kind.startswith("response.") or kind in ANTHROPIC):
        return kind in ("error", "response.failed")
    if choices := event.get("choices"):
        return isinstance(choices, list) and any(isinstance(choice, dict) and choice.get("error") for choice in choices)
    return _is_marked(event) or _is_flat(event, name, api=api)


def _is_error(error: Json, event: Document, *, api: bool) -> bool:
    if isinstance(error, int | float) and not isinstance(error, bool):
        return error >= 400 or api or bool(event.get("message") or event.get("msg"))  # else a rate, or a count
    return _tells(error)


def _tells(value: Json, depth: int = 4) -> bool:
    """Whether a value says anything: `{"message": "", "code": 0}` and `"none"` do not."""
    if isinstance(value, dict):
        return depth == 0 or any(_tells(inner, depth - 1) for inner in value.values())
    if isinstance(value, str):
        return value.strip().lower() not in _NOTHING
    return bool(value)


def _is_marked(event: Document) -> bool:
    """Whether a key is there that only errors have."""
    if event.get("object") == "error" or event.get("event") == "error":
        return True
    for mark in _MARKS:
        value = event.get(mark)
        if value and _tells(value) and not (mark == "errors" and isinstance(value, int | float)):
            return True
    status = event.get("base_resp")  # MiniMax
    if isinstance(status, dict) and status.get("status_code"):
        return True
    feedback = event.get("promptFeedback")  # Gemini: a prompt that is refused has no candidates
    if isinstance(feedback, dict) and feedback.get("blockReason") and not event.get("candidates"):
        return True
    delta, response = event.get("delta"), event.get("Response")  # Cohere, Tencent
    if isinstance(delta, dict) and delta.get("error"):
        return True
    if isinstance(response, dict) and response.get("Error"):
        return True
    return len(event) == 1 and next(iter(event)).endswith(_WRAPPERS)  # Bedrock names the event after it


def _is_flat(event: Document, name: str | None, *, api: bool) -> bool:
    """Whether words stand at the top, as errors have them and messages of other applications, too."""
    detail = event.get("detail")
    if isinstance(detail, list | dict) or (isinstance(detail, str) and (api or len(event) < 3)):
        return bool(detail)
    words = event.get("message") or event.get("msg") or event.get("Message")
    if not isinstance(words, str) or name not in _NEUTRAL_NAMES:
        return False
    return api or any(_names_failure(event.get(key)) for key in ("code", "status", "status_code", "Code"))


def _names_failure(code: Json) -> bool:
    if isinstance(code, str):
        return int(code) >= 400 if code.isdecimal() and len(code) < 9 else _FAILURE.search(code) is not None
    return isinstance(code, int | float) and not isinstance(code, bool) and code >= 400
