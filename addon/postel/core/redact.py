"""What must not leave: secrets, file paths, addresses, account ids, traces and markup are masked in any text.

Owns the order in which things are looked for, and what secrets and file paths look like; addresses are `addresses`'
matter, traces `traces`'. Knows nothing of where the text came from. Called by `message` for what a client reads, by
`template`, and by `render`. Linear time; never raises; redacting twice changes nothing more.

The masks stand in parentheses because a message may begin with one, and what begins with `[` or `<` looks like JSON or
markup to those who read it.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field

from postel.core import html, regex, traces
from postel.core.addresses import ADDRESS, HOSTS, URLS, Mask, Rule, after_lead
from postel.core.regex import Match, Pattern

__all__ = ["ADDRESS", "PATH", "SECRET", "Redactor"]

SECRET = "(redacted)"
PATH = "(path)"


@dataclass(frozen=True, slots=True)
class Redactor:
    """Masks the built-in kinds, then whatever the operator's `redact:` patterns (RE2) find.

    Raises ValueError for a pattern that RE2 does not accept.
    """

    extra: tuple[str, ...] = ()
    _extra: tuple[Pattern, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_extra", tuple(map(regex.compile, self.extra)))

    def redact(self, text: str) -> str:
        """The text with a mask for each thing that must not leave. At most 64 Ki characters are kept."""
        text = text[:_LONGEST]
        for _ in range(_ROUNDS):  # a mask may end one thing and bare another: `10.0.0.1sk-abc`
            before = text
            text = traces.cut(html.strip(text))
            lowered = text.lower()
            for hints, pattern, mask in _RULES:
                if not hints or any(hint in lowered for hint in hints):
                    text = pattern.replace(text, mask)
            for pattern in self._extra:
                text = pattern.replace(text, _operators)
            text = text[:_LONGEST]
            if text == before:
                break
        return text


_ROUNDS = 4
_LONGEST = 64 * 1024


def _operators(match: Match) -> str:
    """Never an empty match, and no mask of a mask: `redact: ['.*']` stays idempotent."""
    found = match.group(0) or ""
    return SECRET if found.strip() and found.strip("()") not in ("redacted", "address", "path") else found


# --- paths ------------------------------------------------------------------------------------------------------------

_ROOTS = (
    "usr|home|opt|var|etc|tmp|root|app|apps|srv|mnt|data|work|workspace|workdir|sgl-workspace|models|model|model-cache|cache"
    "|lib|lib64|bin|proc|dev|run|sys|build|builds|src|code|repo|Users|private|nix|snap|nfs|scratch|venv|conda|content"
    "|storage|weights|checkpoints|huggingface|Library|Applications|Volumes"
    "|vllm-workspace|teamspace|kaggle|dbfs|efs|fsx|gpfs|lustre|raid|shared|secrets"
)
_EXTENSIONS = (
    "py|pyc|pyx|js|mjs|cjs|ts|tsx|go|rs|java|kt|scala|rb|php|c|cc|cpp|cxx|h|hpp|cu|cuh|so|dll|dylib|sh|json|jsonl|ya?ml|toml"
    "|ini|conf|cfg|env|log|txt|sock|pem|key|crt|gguf|ggml|bin|safetensors|pt|pth|onnx|engine|plan|db|sqlite"
)
_METHOD = r"((?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|CONNECT|TRACE) )?"


def _unix_path(match: Match) -> str:
    """`POST /models/x` is a route, `/models/x` a directory."""
    return match.group(0) or "" if match.group(2) else (match.group(1) or "") + PATH


# --- secrets ----------------------------------------------------------------------------------------------------------


def _secret(match: Match) -> str:
    """Mask what follows group 1 if group 2 looks like a secret and not like a word or a number."""
    value = match.group(2) or ""
    mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    telling = mixed or "*" in value or "..." in value or len(value) >= _LONG_WORD
    return (match.group(1) or "") + SECRET if telling else match.group(0) or ""


_LONG_WORD = 24


def _basic(match: Match) -> str:
    """RFC 7617: `user:password` in base64. `Basic authentication` is none."""
    value = match.group(2) or ""
    try:
        pair = b":" in base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        pair = False
    return (match.group(1) or "") + SECRET if pair else _secret(match)


def _beside(match: Match) -> str:
    """A long run beside a word for a secret: hex or mixed; what has slashes must look like base64, not like a path."""
    value = match.group(2) or ""
    kinds = [any(map(is_kind, value)) for is_kind in (str.isdigit, str.islower, str.isupper)]
    telling = all(kinds) or ("/" not in value and kinds[0] and any(kinds[1:]))
    return (match.group(1) or "") + SECRET if telling else match.group(0) or ""


def _opaque(match: Match) -> str:
    """Long runs of mixed letters and digits: keys, account ids. Hex (request ids, digests) and plain words stay."""
    found = match.group(0) or ""
    mixed = any(map(str.islower, found)) and any(map(str.isupper, found)) and any(map(str.isdigit, found))
    return SECRET if mixed else found


# --- the rules --------------------------------------------------------------------------------------------------------

_OWNER = (
    r"\b((?:accounts?|organi[sz]ation|org|project|tenant|workspace|team|customer|subscription|user)(?:[ _-]?id)?"
    r"(?: actor)?\s*[:=]?\s*[\"'`]?)"
)
_OWNER_ID = r"(?:org|proj|ak|acct?|user|team|ws|cus|sub)-[\w-]+"
_LEAD = r"(^|[\s\"'`(=:,\[>@])"

_URL_CODES = (
    "key|token|sig|signature|code|(?:access|auth|refresh|id)_token|api[-_]?key|(?:client_)?secret|password"
    "|x-(?:amz|goog)-(?:signature|credential|security-token)"
)
_NAMED = (
    r"((?:\b(?:api|access|secret|subscription|client|auth|private|session|refresh|account|shared[-_ ]?access|signing"
    r"|encryption|master)[-_ ]?(?:key|token|secret)"
    r"|\b(?:key|token|secret|password|passwd|pwd|credentials?|signature|sig))(?: provided| given)?"
    r"[\"']?\s*[=:]\s*[\"']?)([\w.~+/*-]{6,}=*)"
)
_MAKERS = (
    r"\b()((?:hf|gsk|xai|r8|gh[pousr]|github_pat|glpat|tgp|pplx|nvapi|csk|fw|xox[abprs]|ya29|sess|key|api|tok|secret|dapi|[spr]k|whsec|xapp)"
    r"[-_.][\w*.…-]{11,}[\w*])"
)
_BESIDE = r"\b((?:key|token|secret|password|credential)s?[\s:=\"'`(]{1,4})([a-z0-9+/]{20,}={0,2})"
# LiteLLM: "Key Hash (Token) =88dc28d0..."
_DIGEST = r"\b((?:hash|key|token)s?(?: ?\(\w{1,20}\))?[\s:=\"'`]{1,4})([0-9a-f]{32,128})\b"
_WINDOWS = (
    r"\b[a-z]:(?:/[^\s\"'`<>|*?,;()]*[^\s\"'`<>|*?,;().:/]"
    r"|\\+(?:[^\\\s\"'<>|:*?]+(?: [^\\\s\"'<>|:*?]+)*\\+)*[^\\\s\"'<>|:*?,;)]*(?::\d+)*)"
)
_ROOTED = rf"{_LEAD}{_METHOD}(?:~|/(?:{_ROOTS}))/[^\s\"'`()<>,;\]\[{{}}]*[^\s\"'`()<>,;\]\[{{}}.:]"

# In front of each expression: text without one of these (in lower case) cannot match it, and most messages have few.
_ORDERED: tuple[Rule, ...] = (
    # pydantic v2 repeats what it was given: [type=missing, input_value={'model': 'm'}, input_type=dict]
    ("input_value", r"(?s)\[type=[\w.]+, input_value=.*?, input_type=[\w.]+\]", ""),
    ("input_value", r"(?s),? ?input_value=.*?, input_type=[\w.]+", ""),
    ("-----begin", r"(?s)-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)", SECRET),
    *URLS,
    # account and organisation ids in their context: by their prefix, or whatever stands in quotes there
    ("-", rf"{_OWNER}(?:\({_OWNER_ID}\)|<{_OWNER_ID}>|{_OWNER_ID})", after_lead(SECRET)),
    ("(", rf"{_OWNER}\(([\w-]{{6,}})\)", _secret),
    (
        "' \" `",
        r"\b((?:account|organi[sz]ation|project|tenant|customer|user)(?:[ _-]?id)?\s*[:=]?\s*[\"'`])([\w-]{6,})",
        _secret,
    ),
    ("project_number", r"\b(project_number:)\d+", after_lead(SECRET)),
    ("arn:aws", r"\barn:aws[\w-]*:[^\s\"'<>,;()]+", SECRET),
    # API keys by their makers' prefixes, whole or partly masked already
    ("<", r"<(?:org|proj|ak|sk)-[\w-]+>", SECRET),
    ("_live_ _test_", r"\b[spr]k_(?:live|test)_[\w*.…-]*[\w*]", SECRET),
    ("sk- pk- rk- ak-", r"\b(?:sk|pk|rk|ak)-[\w*.…-]*[\w*]", SECRET),
    ("org- proj-", r"\b(?:org|proj)-(?:[\w-]*\d[\w-]*|\w{12,})", SECRET),
    ("- _ .", _MAKERS, _secret),
    (
        "akia asia aroa aida aiza eyj",
        r"(?-i)\b(?:A(?:KIA|SIA|ROA|IDA)[0-9A-Z]{12,}|AIza[\w-]{20,}|eyJ[\w-]{8,}\.[\w.-]*)",
        SECRET,
    ),
    ("***", r"[\w-]*\*{3,}[\w*-]*\w|\b[\w-]+\*{3,}", SECRET),
    ("basic", r"\b(basic\s+)([\w+/=*-]{6,})", _basic),
    ("bearer", r"\b(bearer\s+)([\w.~+/=*-]{6,})", _secret),
    ("authorization", r"\b(authorization[\"']?\s*[:=]\s*[\"']?(?:[a-z][\w-]*\s+)?)([\w.~+/=*:-]{6,})", _secret),
    ("cookie", r"\b(cookie[\"']?\s*[:=]\s*[\"']?)[\w.-]+=[^\s\"'<>(),]+", after_lead(SECRET)),
    ("= :", _NAMED, _secret),
    ("=", r"\b((?:password|passwd|pwd|secret)=[\"']?)[^\s\"'<>(),;&]+", after_lead(SECRET)),
    ("key token secret password credential", _BESIDE, _beside),
    ("hash key token", _DIGEST, _secret),
    ("? &", rf"([?&](?:{_URL_CODES})=)[^\s&\"'<>()]+", after_lead(SECRET)),
    ("@", r"\b[\w.+-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b", SECRET),
    ("@", r"\b[\w.+-]+:[^\s\"'<>()@:/]{3,}@[\w.-]*\w(?::\d{1,5}\b)?", SECRET),  # user:password@host
    *HOSTS,
    # files
    (":\\ :/", _WINDOWS, PATH),
    ("\\\\", r"\\{2,4}[\w.-]+\\{1,2}[^\s\"'<>|]+", PATH),  # also as JSON and Python write it
    ("/", _ROOTED, _unix_path),
    ("/", rf"{_LEAD}(?:\.{{0,2}}/)?(?:[\w.+@-]+/)+[\w.+@-]+\.(?:{_EXTENSIONS})\b(?::\d+)*", after_lead(PATH)),
    (":", r"\b[\w-]+\.(?:py|pyx|js|mjs|ts|go|rs|java|kt|c|cc|cpp|h|hpp|cu|cuh|rb|php):\d+(?::\d+)?", PATH),
    ("node_modules -packages", r"[\w@./+-]*\b(?:node_modules|site-packages|dist-packages)\b[\w@./+:-]*", PATH),
    ("", r"\b[A-Za-z0-9]{32,}\b", _opaque),
    (f"{SECRET}", r"\(redacted\)(?:\s?\(redacted\))+", SECRET),
)

_RULES: tuple[tuple[tuple[str, ...], Pattern, Mask], ...] = tuple(
    (tuple(hints.split()), regex.compile(source), mask) for hints, source, mask in _ORDERED
)
