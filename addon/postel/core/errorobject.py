"""The error object of a JSON document: where it is, what it says, and what is wrapped inside it.

Owns the shapes in which servers, gateways and SDKs put errors into JSON, and the unwrapping of errors inside errors.
Knows neither bytes nor headers nor what an error means. Called by `body` and `message`. Never raises; depth is bounded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from postel.core import jsontext, validation
from postel.core.found import Folded, Found, code_of, fold, joined, param_of, scalar_of, text_of, type_of
from postel.core.jsontext import MISSING, Json
from postel.core.phrase import is_phrase

_TEXT, _LEVEL = 3, 1
_BUDGET = 4 * (_TEXT + _LEVEL)
"""What unwrapping may cost: four times an object inside a text inside an object."""


IsOwn = Callable[[str], bool]
"""Whether a text is the client's own: JSON in prose may be quoted from a prompt."""


@dataclass(frozen=True, slots=True)
class _Left:
    """What unwrapping may still cost, and whose words prove nothing."""

    cost: int
    is_own: IsOwn | None

    def less(self, cost: int) -> _Left:
        return _Left(self.cost - cost, self.is_own)


def find(document: Json, is_own: IsOwn | None = None) -> Found | None:
    """The innermost error of a whole document; None if it is healthy."""
    return _find(document, _Left(_BUDGET, is_own))


def unwrap(text: str, is_own: IsOwn | None = None) -> Found:
    """The error inside a text that is JSON, or has JSON or a Python repr in it; else the text itself as the message."""
    return _unwrap(text, _Left(_BUDGET, is_own))


def _find(value: Json, left: _Left) -> Found | None:
    if isinstance(value, str):
        return _unwrap(value, left)
    if isinstance(value, list):
        if validation.is_list(value):
            return validation.read(value)
        if len(value) == 1 and left.cost > 0:
            return _find(value[0], left.less(_LEVEL))
        # Gemini streams an array, and whatever goes wrong is its last element
        last = value[-1] if value else None
        failed = isinstance(last, dict) and isinstance(last.get("error"), dict) and isinstance(value[0], dict)
        return _find(last, left.less(_LEVEL)) if failed and left.cost > 0 else None
    return _object(value, left, known=False) if isinstance(value, dict) else None


# --- objects ----------------------------------------------------------------------------------------------------------

# Where the words are, in the order of trust. What is in the second list counts only inside an object that is already
# known to be an error: healthy answers have a `text`, a `description`, a `reason`, too.
_WORDS = ("message", "detail", "errormessage", "errormsg", "errmsg", "errortext", "errormessages")
_KNOWN_WORDS = (
    "msg",
    "errordescription",
    "description",
    "title",
    "faultstring",
    "text",
    "statusmsg",
    "details",
    "reason",
)

_EVENT_WORDS = ("data", "content")
"""What holds the words only where the object calls itself an error: `{"event":"error","data":"..."}`."""

_CAUSES = ("originalmessage", "originalerror", "upstreamerror", "externalmodelerror", "raw")
"""What holds the error of someone further in."""


def _object(value: dict[str, Json], left: _Left, *, known: bool) -> Found | None:
    if not value or left.cost < 0:
        return None
    if validation.is_list([value]):
        return validation.read([value])
    folded = fold(value)
    if _is_success(folded):
        return None
    inner = _wrapped(value, left) or next(_containers(folded, left), None)
    label = text_of(folded.get("error"))
    if inner is None and label is None and not known and not _is_error(folded):
        return None  # every healthy answer leaves here
    own = Found(type=type_of(folded), code=code_of(folded), param=param_of(folded), error=value)
    if inner is not None:
        return (
            inner.over(own) if inner.message else (_spoken(folded, left, known=True) or Found()).over(inner).over(own)
        )
    if label is not None:
        return _labelled(label, folded, left).over(own)
    cause = _cause(folded, left)
    spoken = _spoken(folded, left, known=True)
    if not spoken and not cause:
        return own if known or _is_named_error(folded) else None
    return _innermost(cause, spoken).over(own)


def _is_success(folded: Folded) -> bool:
    """`{"code":0,"message":"success"}`, as many Chinese APIs answer."""
    words = next(
        (folded[key] for key in ("message", "msg", "errormsg", "errmsg", "errormessage") if key in folded), None
    )
    return isinstance(words, str) and words.lower() in ("ok", "success") and not folded.get("error")


_NUMBERS = ("errorcode", "code", "status", "statuscode", "error")


def _is_error(folded: Folded) -> bool:
    """Whether an object without `error` is one: `message` and its like, a problem (RFC 9457), FastChat's `text`."""
    has = folded.keys()
    if any(folded.get(key) for key in (*_WORDS, "originalmessage", "externalmodelerror")):
        return True
    if "title" in has and has & {"status", "detail", "description", "type"}:
        return True
    return bool(
        (any(map(folded.get, ("text", "msg", "description"))) and any(map(folded.get, _NUMBERS)))
        or _is_named_error(folded)
        or _sentences(folded)
    )


def _is_named_error(folded: Folded) -> bool:
    return any(folded.get(key) == "error" for key in ("type", "object", "event"))


def _wrapped(value: dict[str, Json], left: _Left) -> Found | None:
    """`{"throttlingException": {...}}`, `{"ModelStreamError": {...}}`: AWS names the member of a union, and no more."""
    name, inner = next(iter(value.items()))
    if len(value) > 1 or not isinstance(inner, dict) or not name.lower().endswith(_EXCEPTIONS):
        return None
    return (_object(inner, left.less(_LEVEL), known=True) or Found(error=inner)).over(Found(type=name))


_EXCEPTIONS = ("exception", "streamerror", "streamfailure")


def _containers(folded: Folded, left: _Left) -> Iterator[Found]:
    """Errors in the objects and lists that are made for them, nearest first."""
    error, errors, response = folded.get("error"), folded.get("errors"), folded.get("response")
    for told in (error, folded.get("errormsg")):  # Hunyuan: {"ErrorMsg": {"Msg": "...", "Code": 4013}}
        if isinstance(told, dict) and (found := _object(told, left.less(_LEVEL), known=True)):
            yield found
    if isinstance(error, list) and (found := _list(error, left.less(_LEVEL))):
        yield found
    if isinstance(errors, list | dict) and (found := _list(errors, left.less(_LEVEL))):
        yield found
    if (answer := folded.get("baseresp")) and isinstance(answer, dict) and answer.get("status_code"):  # MiniMax
        yield Found(text_of(answer.get("status_msg")), code=scalar_of(answer.get("status_code")), error=answer)
    if isinstance(fault := folded.get("fault"), dict) and (
        found := _object(fault, left.less(_LEVEL), known=True)
    ):  # Apigee
        yield found
    # OpenRouter puts an error into a choice, OpenAI's response.failed and Tencent Cloud into `response`
    choices = folded.get("choices")
    for holder in (response, *(choices[:8] if isinstance(choices, list) else ())):
        failed = fold(holder).get("error") if isinstance(holder, dict) else None
        if isinstance(failed, dict) and (found := _object(failed, left.less(_LEVEL), known=True)):
            yield found
    yield from _reasons(folded, left)


def _reasons(folded: Folded, left: _Left) -> Iterator[Found]:
    """Words beside a finish reason: Cohere's `message-end`, SGLang's `meta_info.finish_reason`."""
    delta, meta = folded.get("delta"), folded.get("metainfo")
    if isinstance(delta, dict) and delta.get("finish_reason") and (words := text_of(delta.get("error"))):
        found = _unwrap(words, left)
        yield found.over(Found(error=delta))
    reason = meta.get("finish_reason") if isinstance(meta, dict) else None
    if isinstance(reason, dict) and (words := text_of(reason.get("message"))):
        code = scalar_of(reason.get("status_code"))
        # a caller that left is "Aborted" without a status
        if code is not None:
            yield _unwrap(words, left).over(Found(type=scalar_of(reason.get("err_type")), code=code, error=reason))


def _cause(folded: Folded, left: _Left) -> Found | None:
    """The error of someone further in: SageMaker's OriginalMessage, OpenRouter's metadata.raw."""
    metadata = folded.get("metadata")
    for place in (folded, fold(metadata) if isinstance(metadata, dict) else {}):
        for key in _CAUSES:
            value = place.get(key)
            if isinstance(value, str) and value.strip():
                return _unwrap(value, left)
            if isinstance(value, dict) and (found := _object(value, left.less(_LEVEL), known=True)) and found.message:
                return found
    return None


def _innermost(cause: Found | None, spoken: Found | None) -> Found:
    if cause and spoken and cause.error is None and cause.message and spoken.message:
        # bare words say what, the sentence around them says who: "Provider returned error: upstream error"
        return Found(joined(spoken.message, cause.message)).over(spoken)
    return (cause or Found()).over(spoken or Found())


def _labelled(label: str, folded: Folded, left: _Left) -> Found:
    """`error` as text. With other words beside it, it may be a mere name: `{"error":"Bad Request","message":"..."}`."""
    named = _unwrap(label, left)
    spoken = _spoken({key: item for key, item in folded.items() if key != "title"}, left, known=True)
    if not spoken or not spoken.message or named.error is not None:
        return named.over(spoken or Found())
    if is_phrase(label):
        return spoken
    if not any(map(str.isspace, label)):
        return spoken.over(Found(code=label))  # RFC 6749: {"error":"invalid_token","error_description":"..."}
    return Found(joined(label, spoken.message)).over(spoken)


def _spoken(folded: Folded, left: _Left, *, known: bool) -> Found | None:
    """The words of an object itself."""
    silent: Found | None = None
    told = _EVENT_WORDS if known and _is_named_error(folded) else ()
    for key in (*_WORDS, *_KNOWN_WORDS, *told) if known else _WORDS:
        value = folded.get(key)
        if isinstance(value, str) and value.strip():
            return _titled(_unwrap(value, left), folded, key).over(silent or Found())
        inner: Found | None = None
        if isinstance(value, list):
            inner = _list(value, left.less(_LEVEL))
        elif isinstance(value, dict):
            inner = _object(value, left.less(_LEVEL), known=key in ("detail", "details", *told))
        if inner and inner.message:
            return inner
        silent = silent or inner
    return _sentences(folded) or silent


def _titled(found: Found, folded: Folded, key: str) -> Found:
    """`title` in front of a problem's `detail` (RFC 9457), or of Falcon's `description`, if it says something."""
    title = text_of(folded.get("title")) if key in ("detail", "description") else None
    if not title or not found.message or is_phrase(title):
        return found
    return Found(joined(title, found.message)).over(found)


_OWN_FIELDS = frozenset({"nonfielderrors", "detail", "details"})


def _sentences(folded: Folded) -> Found | None:
    """Django REST framework: `{"messages": ["This field is required."]}`, and nothing but such lists."""
    if not 0 < len(folded) <= 16:
        return None
    for items in folded.values():
        if not (isinstance(items, list) and items and all(isinstance(item, str) and " " in item for item in items[:4])):
            return None
    field, items = next(iter(folded.items()))
    first = str(items[0]) if isinstance(items, list) else ""
    return Found(first) if field in _OWN_FIELDS else Found(f"{field}: {first}", param=field)


# --- lists ------------------------------------------------------------------------------------------------------------

_ITEMS = 4
"""Entries of a list that are told: a message is no report."""


def _list(value: list[Json] | dict[str, Json], left: _Left) -> Found | None:
    if isinstance(value, dict):  # ASP.NET: {"errors": {"messages": ["The field is required."]}}
        return _sentences(value) or _object(value, left, known=False)
    if validation.is_list(value):
        return validation.read(value)
    words = [item.strip() for item in value if isinstance(item, str) and item.strip()]
    if words:
        found = _unwrap(words[0], left)
        return found if found.error is not None else Found("; ".join(words[:_ITEMS]))
    for item in value[:_ITEMS]:
        if (
            isinstance(item, dict)
            and (found_in := _object(item, left, known=True))
            and (found_in.message or found_in.code)
        ):
            return found_in
    return None


# --- text -------------------------------------------------------------------------------------------------------------

# Ray Serve LLM: "Message: .., Internal exception: .., original exception: ..", of which the last may say nothing.
_RAY = "original exception: "
_RAY_SILENT = re.compile(
    r"Message: (.{1,4000}?)(?: \(Request ID: [^()]{1,80}\))?, Internal exception: .*original exception:$", re.DOTALL
)


def _unwrap(text: str, left: _Left) -> Found:
    text = text.strip()
    if _RAY in text:
        text = text.rpartition(_RAY)[2].strip() or text
    elif told := _RAY_SILENT.match(text):
        text = told[1]
    whole = Found(text or None)
    if left.cost < _TEXT or not text:
        return whole
    if text[0] in '{["' and (document := jsontext.decode_all(text)) is not MISSING:
        return _find(document, left.less(_TEXT)) or whole
    if not any(bracket in text for bracket in "{[("):
        return whole
    for value, start, end in jsontext.embedded(text):
        in_prose = start > 0 or end < len(text)
        if in_prose and not _is_plainly_an_error(value, text[max(0, start - 60) : start]):
            continue
        if in_prose and left.is_own and left.is_own(text[start:end][:_QUOTED].rstrip(_CLOSING)):
            continue
        found = _find(value, left.less(_TEXT))
        if found and (found.message or found.type is not None):
            vague = found.message and in_prose and len(found.message.split()) < 2
            vague = vague and not _ONLY_NAMES.fullmatch(text[:start] + text[end:])
            return whole.over(found) if vague else found.over(whole)
    return whole


_QUOTED = 200
_CLOSING = " \t\r\n'\"`.,;:)]}"
"""What may follow a quotation: JSON without an end reaches as far as the text does."""

_ONLY_NAMES = re.compile(r"(?:[\w.]{1,80}(?:Error|Exception)(?:: | - )){1,4}\.?(?: Handle with `[\w.]+`\.?)?", re.ASCII)
"""What LiteLLM puts around somebody else's error."""

_REPORTS = re.compile(
    r"(?:error|exception|fail(?:ed|ure)|response|body|returned|status|\b\d{3})[\s:=,-]*$", re.IGNORECASE
)


def _is_plainly_an_error(value: Json, before: str) -> bool:
    """JSON in prose may be what the client sent: only an error object will do, not just anything with a `message`."""
    if isinstance(value, list):
        return validation.is_list(value) or (len(value) == 1 and _is_plainly_an_error(value[0], before))
    if not isinstance(value, dict):
        return False
    keys = fold(value).keys()
    if keys & {"error", "errors", "externalmodelerror"} or {"loc", "msg"} <= keys:
        return True
    if not keys & {"message", "detail", "msg"}:
        return False
    return bool(keys & _BESIDE_WORDS) or _REPORTS.search(before) is not None


_BESIDE_WORDS = {"code", "type", "status", "errorcode", "errortype", "statuscode", "object"}
