"""From an upstream's words to a sentence that a client may read.

Owns what a message looks like when it leaves: one line, no prefix that only names a class or a status, no markup, no
JSON, no trace, no secret, none of the client's own prompt. Which words they were is `body`'s matter, what they mean is
the rules'. Called by `normalise`, `rules`, `carry` and `addition`. Never raises; cleaning twice changes nothing more.
"""

from __future__ import annotations

import re

from postel.core import errorobject, html, jsontext, regex
from postel.core.echo import Echo, echoes
from postel.core.evidence import Request
from postel.core.phrase import is_phrase
from postel.core.redact import Redactor

__all__ = ["Echo", "clean", "echoes"]

LIMIT = 500
"""Characters of a message: clients log them and show them in one line."""

_READ = 8 * 1024  # characters looked at; what matters of a longer text stands at one of its ends
OMITTED = "(...)"


def clean(words: str, redactor: Redactor, request: Request | None = None, limit: int = LIMIT) -> str | None:
    """The words as one line of at most `limit` characters; None if nothing is left that says more than a status.

    Parts of 40 characters and more that also stand in the request's body become `(...)`, unless the text begins with
    them: upstreams begin with their own words.
    """
    text = _ends(words)
    if html.is_page(text):
        text = html.words(text) or ""
    first, _, rest = text.strip().partition("\n")
    if rest.strip() and is_phrase(first):
        text = rest  # aiohttp, waitress: the phrase, a blank line, the words
    echo = echoes(request) if request is not None and request.body else None
    for _ in range(_ROUNDS):  # cutting a prefix may bare another one
        before = text
        text = _round(text, redactor, echo, limit)
        if text == before:
            break
    return text if _says_something(text) else None


_ROUNDS = 6


def _ends(words: str) -> str:
    if len(words) > _READ:
        words = f"{words[: _READ // 2]} {words[-_READ // 2 :]}"
    return words


def _round(text: str, redactor: Redactor, echo: Echo | None, limit: int) -> str:
    text = _without_json(text, echo)
    text = redactor.redact(_CONTROLS.sub(" ", _ANSI.sub("", text)))
    text = " ".join(jsontext.writable(text).split())
    text = text[: 3 * limit]  # as much as prefixes and echoes may take away
    if echo:
        text = _without_echo(text, echo)
    text = _trimmed(_bare(text))
    return shortened(text, limit)


# ECMA-48: colours and cursors (CSI), window titles (OSC). Their letters are no words.
_ANSI = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,40}[ -/]{0,4}[@-~]|\x1b\][^\x07\x1b]{0,200}(?:\x07|\x1b\\)?|\x1b[ -/]{0,2}[0-~]"
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]")


# --- JSON -------------------------------------------------------------------------------------------------------------

_PAIRS = re.compile(r"[{\[(][\s{\[(]{0,20}[\"'][^\"'\n]{0,80}[\"']\s{0,9}:")
_OBJECTS = 4


def _without_json(text: str, echo: Echo | None) -> str:
    """The error inside, where there is one; else the text with `(...)` for each object in it."""
    if not any(bracket in text for bracket in "{["):
        return text
    found = errorobject.unwrap(text, echo.has if echo else None)
    if found.error is not None and found.message:
        text = found.message
    for _ in range(_OBJECTS):
        opening = _PAIRS.search(text)
        if not opening:
            break
        end = jsontext.salvage(text, opening.start())[1]
        text = f"{text[: opening.start()]}{OMITTED}{text[end:]}"
    return text


# --- echoes -----------------------------------------------------------------------------------------------------------

_OWN_OPENING = 160
"""An upstream's message of this length may well stand in a prompt, from a log that was pasted there."""


def _without_echo(text: str, echo: Echo) -> str:
    for start, end in reversed(echo.spans(text)):
        if start > 0 or end > _OWN_OPENING:
            text = f"{text[:start]}{OMITTED}{text[end:]}"
    return text


# --- prefixes and suffixes --------------------------------------------------------------------------------------------

# Cut only where words follow. Class names (`RuntimeError: `), what SDKs and proxies put in front, status numbers.
_PREFIX = regex.compile(
    r"^(?:"
    r"error code: \d{3} - "
    r"|(?:http )?(?:error |status(?: code)? )?[45]\d\d(?: (?-i:[A-Z])[\w -]{3,30})?(?:: | - |, )"
    r"|(?:internal )?(?:server )?error ?: "
    r"|litellm\.\w+: |\w+Exception(?: \w+Error)? - |\w+ ?Exception - "
    r"|(?-i:(?:[a-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Failure|Fault)) ?: "
    r"|\d+ validation errors?(?: for \w+)?: ?"
    r"|rpc error: code = \w+ desc = "
    r"|\[(?:[\w.:/ -]|<\w+>){1,60}\] ?"
    r"|\[(?:\w+=[\w.:()/-]{1,60}(?:, )?){1,4}\] ?"
    r"|traceback[^:]{0,40}: "
    r")+(.*[\pL\pN].*)$"
)

_SUFFIXES = (
    # vLLM >= 0.14: "... (parameter=input_tokens, value=5120)"; one-api, Ray: request ids, which the headers carry
    regex.compile(r" ?\((?:parameter=[^()]*|request[ _]?id:? [\w-]*)\)"),
    regex.compile(r" ?for further information visit https://errors\.pydantic\.dev/\S+"),
    regex.compile(r" ?(?:received model group=|available model group fallbacks=|litellm retried: ).*$"),
    regex.compile(r" ?\(generated by waitress\)$"),
    regex.compile(r" ?handle with `litellm\.\w+`\.?"),
    regex.compile(r"[:, ]*rpc error: code = \w+ desc =$"),  # Go, with nothing behind it
)


def _bare(text: str) -> str:
    for suffix in _SUFFIXES:
        text = suffix.replace(text, "")
    match = _PREFIX.search(text)
    return match.group(1) or "" if match else text


def _trimmed(text: str) -> str:
    """Without punctuation that joined a part that is gone; and never beginning as JSON does."""
    text = _balanced(text.strip(" \t,;:-|\u2013\u2014"))
    if text.endswith(f" {OMITTED}") and text[: -len(OMITTED)].rstrip()[-1:] in ":=-":
        text = text[: -len(OMITTED)].rstrip(" :=-")
    if text[:2] in ("[]", "{}"):  # Ollama: "[] is too short - 'messages'"
        text = f'"{text[:2]}"{text[2:]}'
    return text.lstrip("{[")


_DOUBLED = re.compile(r"\((\((?:redacted|address|path)\))\)")
_PAIRED = (("(", ")"), ("[", "]"), ("{", "}"))


def _balanced(text: str) -> str:
    """Without the brackets that are left of what was masked or cut: `((path))`, `(path))`, `pid=881]`."""
    text = _DOUBLED.sub(r"\1", text)
    if sum(text.count(closing) - text.count(opening) for opening, closing in _PAIRED) != 1:
        return text  # "must be in [0, 1)" is balanced in its way
    opening, closing = next(pair for pair in _PAIRED if text.count(pair[1]) > text.count(pair[0]))
    at = _surplus(text, opening, closing)
    cut = at == len(text) - 1 or closing == "]" or text.endswith(("(path)", "(address)", "(redacted)"), 0, at)
    return text[:at] + text[at + 1 :] if cut else text


def _surplus(text: str, opening: str, closing: str) -> int:
    """Where the first bracket is closed that was never opened."""
    depth = 0
    for at, character in enumerate(text):
        depth += (character == opening) - (character == closing)
        if depth < 0:
            return at
    return len(text) - 1


def shortened(text: str, limit: int) -> str:
    """The text in at most `limit` characters, cut between two words where that leaves more than half of it."""
    if len(text) <= limit:
        return text
    room = max(limit - len("..."), 1)
    head = text[:room]
    at_word = head.rpartition(" ")[0] if text[room] != " " else head
    return (at_word if len(at_word) > room // 2 else head).rstrip(" ,;:-.") + "..."


_MASKS = re.compile(r"\((?:\.\.\.|redacted|address|path)\)")


def _says_something(text: str) -> bool:
    text = _MASKS.sub(" ", text).strip()
    return any(map(str.isalpha, text)) and not is_phrase(text)
