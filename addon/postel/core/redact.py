"""What must not leave: secrets, file paths, addresses, account ids, traces and markup are masked in any text.

Owns the patterns and the masks. Knows nothing of where the text came from. Called by `message` for what a client reads,
and by `template`. Linear time; never raises; redacting twice changes nothing more.

The masks stand in parentheses because a message may begin with one, and what begins with `[` or `<` looks like JSON or
markup to those who read it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, field

from postel.core import html, regex, traces
from postel.core.regex import Match, Pattern

SECRET = "(redacted)"
ADDRESS = "(address)"
PATH = "(path)"

type Mask = str | Callable[[Match], str]


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


# --- addresses --------------------------------------------------------------------------------------------------------

# Names that only resolve inside: RFC 6762 (local), RFC 8375 (home.arpa), ICANN's `internal`, Kubernetes' `svc`.
_INSIDE = r"svc|local|localdomain|internal|intranet|lan|corp|home\.arpa|cluster\.local|consul|ts\.net"
_INSIDE_HOST = re.compile(rf"(?:[\w-]+\.)*(?:{_INSIDE})(?:\.[\w.-]+)?|[\w-]+", re.IGNORECASE | re.ASCII)


def _url(match: Match) -> str:
    """A public http(s) URL is a document worth naming; any other names a machine."""
    scheme, authority, rest = match.group(1) or "", match.group(2) or "", match.group(3) or ""
    host = authority.split(":")[0]
    public = scheme.lower() in ("http", "https") and "@" not in authority and "[" not in authority
    if public and not _INSIDE_HOST.fullmatch(host) and not host.replace(".", "").isdigit():
        return match.group(0) or ""
    return ADDRESS + (rest[-1] if rest[-1:] in _STOPS else "")


_STOPS = (".", ",", ";", ":", "]")


def _ipv4(match: Match) -> str:
    """Private, or with a port: a bare public address may be the client's own."""
    try:
        inside = not ipaddress.IPv4Address(match.group(1) or "").is_global
    except ValueError:
        return match.group(0) or ""  # 999.1.1.1
    return ADDRESS if inside or match.group(2) else match.group(0) or ""


def _bracketed(match: Match) -> str:
    try:
        inside = not ipaddress.IPv6Address((match.group(1) or "").split("%")[0]).is_global
    except ValueError:
        return match.group(0) or ""  # [12:30:45]
    return ADDRESS if inside or match.group(2) else match.group(0) or ""


# --- paths ------------------------------------------------------------------------------------------------------------

_ROOTS = (
    "usr|home|opt|var|etc|tmp|root|app|apps|srv|mnt|data|work|workspace|workdir|sgl-workspace|models|model|model-cache|cache"
    "|lib|lib64|bin|proc|dev|run|sys|build|builds|src|code|repo|Users|private|nix|snap|nfs|scratch|venv|conda|content"
    "|storage|weights|checkpoints|huggingface|Library|Applications|Volumes"
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


def _kept(mask: str) -> Callable[[Match], str]:
    """Keep what group 1 found, mask the rest."""
    return lambda match: (match.group(1) or "") + mask


def _secret(match: Match) -> str:
    """Mask what follows group 1 if group 2 looks like a secret and not like a word or a number."""
    value = match.group(2) or ""
    mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    telling = mixed or "*" in value or "..." in value or len(value) >= _LONG_WORD
    return (match.group(1) or "") + SECRET if telling else match.group(0) or ""


_LONG_WORD = 24


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

_URL_CODES = "key|token|sig|signature|code|access_token|api[-_]?key"
_NAMED = (
    r"((?:\b(?:api|access|secret|subscription|client|auth|private|session|refresh)[-_ ]?(?:key|token|secret)"
    r"|\b(?:key|token|secret|password|passwd|pwd|credentials?|signature|sig))(?: provided| given)?"
    r"[\"']?\s*[=:]\s*[\"']?)([\w.~+/*-]{6,})"
)
_MAKERS = (
    r"\b()((?:hf|gsk|xai|r8|gh[pousr]|github_pat|glpat|tgp|pplx|nvapi|csk|fw|xox[abprs]|ya29|sess|key|api|tok|secret|dapi)"
    r"[-_.][\w*.…-]{11,}[\w*])"
)
_IPV6 = r"(?:::1|(?:fe[89ab][0-9a-f]|f[cd][0-9a-f]{2})(?::[0-9a-f]{0,4}){2,7}(?:%\w+)?)(?::\d{2,5})?\b"
_MACHINE = (
    r"\b((?:dial (?:tcp|udp)|connect(?:ing|ion|ed)? to|host|lookup|upstream|backend|server|node|pod|worker|endpoint) "
    r"[\"'`]?)(?:[a-z][\w.-]*:\d{2,5}\b|[a-z][\w.]*-[\w.-]*\d[\w-]*)"
)
_WINDOWS = r"\b[a-z]:\\(?:[^\\\s\"'<>|:*?]+(?: [^\\\s\"'<>|:*?]+)*\\)*[^\\\s\"'<>|:*?,;)]*(?::\d+)*"
_ROOTED = rf"{_LEAD}{_METHOD}(?:~|/(?:{_ROOTS}))/[^\s\"'`()<>,;\]\[{{}}]*[^\s\"'`()<>,;\]\[{{}}.:]"

# In front of each expression: text without one of these (in lower case) cannot match it, and most messages have few.
_RULES: tuple[tuple[tuple[str, ...], Pattern, Mask], ...] = tuple(
    (tuple(hints.split()), regex.compile(source), mask)
    for hints, source, mask in (
        # pydantic v2 repeats what it was given: [type=missing, input_value={'model': 'm'}, input_type=dict]
        ("input_value", r"(?s)\[type=[\w.]+, input_value=.*?, input_type=[\w.]+\]", ""),
        ("input_value", r"(?s),? ?input_value=.*?, input_type=[\w.]+", ""),
        ("-----begin", r"(?s)-----BEGIN [A-Z ]+-----.*?(?:-----END [A-Z ]+-----|$)", SECRET),
        ("://", r"\b([a-z][a-z0-9+]{1,20})://([^\s\"'<>()/{},?#]*)([^\s\"'<>(){}]*)", _url),
        # account and organisation ids in their context: by their prefix, or whatever stands in quotes there
        ("-", rf"{_OWNER}(?:\({_OWNER_ID}\)|<{_OWNER_ID}>|{_OWNER_ID})", _kept(SECRET)),
        ("(", rf"{_OWNER}\(([\w-]{{6,}})\)", _secret),
        (
            "' \" `",
            r"\b((?:account|organi[sz]ation|project|tenant|customer|user)(?:[ _-]?id)?\s*[:=]?\s*[\"'`])([\w-]{6,})",
            _secret,
        ),
        ("project_number", r"\b(project_number:)\d+", _kept(SECRET)),
        ("arn:aws", r"\barn:aws[\w-]*:[^\s\"'<>,;()]+", SECRET),
        # API keys by their makers' prefixes, whole or partly masked already
        ("<", r"<(?:org|proj|ak|sk)-[\w-]+>", SECRET),
        ("sk- pk- rk- ak-", r"\b(?:sk|pk|rk|ak)-[\w*.…-]*[\w*]", SECRET),
        ("org- proj-", r"\b(?:org|proj)-(?:[\w-]*\d[\w-]*|\w{12,})", SECRET),
        ("- _ .", _MAKERS, _secret),
        (
            "akia asia aroa aida aiza eyj",
            r"(?-i)\b(?:A(?:KIA|SIA|ROA|IDA)[0-9A-Z]{12,}|AIza[\w-]{20,}|eyJ[\w-]{8,}\.[\w.-]*)",
            SECRET,
        ),
        ("***", r"[\w-]*\*{3,}[\w*-]*\w|\b[\w-]+\*{3,}", SECRET),
        ("bearer basic", r"\b((?:bearer|basic)\s+)([\w.~+/=*-]{6,})", _secret),
        ("= :", _NAMED, _secret),
        ("? &", rf"([?&](?:{_URL_CODES})=)[^\s&\"'<>()]+", _kept(SECRET)),
        ("@", r"\b[\w.+-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,}\b", SECRET),
        # addresses: (host='vllm', port=8000) of urllib3, ('10.1.2.3', 8000) of asyncio
        ("host=", r"\bhost=['\"][^'\"\s]*['\"], port=\d+", ADDRESS),
        ("(' (\"", r"\(['\"][\w.:-]+['\"], \d{1,5}\)", ADDRESS),
        (".", r"\b(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(:\d{1,5}\b)?(?:/\d{1,2}\b)?", _ipv4),
        ("[", r"\[([0-9a-f]*:[0-9a-f:.]*(?:%\w+)?)\](:\d{1,5}\b)?", _bracketed),
        (":", _LEAD + _IPV6, _kept(ADDRESS)),
        (".", rf"\b(?:[a-z0-9_-]+\.)+(?:{_INSIDE})\b(?:\.[a-z0-9.-]*[a-z0-9])?(?::\d{{1,5}})?", ADDRESS),
        ("localhost", r"\blocalhost(?::\d{1,5})?\b", ADDRESS),
        (":", r"\b[a-z][\w-]*(?:-\w+)+:\d{4,5}\b", ADDRESS),
        ("dial connect host lookup upstream backend server node pod worker endpoint", _MACHINE, _kept(ADDRESS)),
        ("lookup", r"\b(lookup )[\w.-]+", _kept(ADDRESS)),
        # files
        (":\\", _WINDOWS, PATH),
        ("\\\\", r"\\\\[\w.-]+\\[^\s\"'<>|]+", PATH),
        ("/", _ROOTED, _unix_path),
        ("/", rf"{_LEAD}(?:\.{{0,2}}/)?(?:[\w.+@-]+/)+[\w.+@-]+\.(?:{_EXTENSIONS})\b(?::\d+)*", _kept(PATH)),
        (":", r"\b[\w-]+\.(?:py|pyx|js|mjs|ts|go|rs|java|kt|cc|cpp|cu|cuh|rb|php):\d+(?::\d+)?", PATH),
        ("node_modules -packages", r"[\w@./+-]*\b(?:node_modules|site-packages|dist-packages)\b[\w@./+:-]*", PATH),
        ("", r"\b[A-Za-z0-9]{32,}\b", _opaque),
        (f"{SECRET}", r"\(redacted\)(?:\s?\(redacted\))+", SECRET),
    )
)
