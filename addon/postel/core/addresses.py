"""Where things run: URLs of machines, private addresses, names of hosts, nodes and pods, addresses in memory.

Owns what such an address looks like in prose, and what merely looks like one: public documents, `error:50001`,
`llama3.1:8b`. Knows nothing of secrets and files. Called by `redact`, which compiles the rules and applies them in
their order: `URLS` before it looks for secrets, `HOSTS` after that.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

from postel.core.regex import Match

ADDRESS = "(address)"

type Mask = str | Callable[[Match], str]
type Rule = tuple[str, str, Mask]
"""Hints (text without one of them, in lower case, cannot match), an RE2 expression, and what takes its place."""


def after_lead(mask: str) -> Callable[[Match], str]:
    """Keep what group 1 found, mask the rest."""
    return lambda match: (match.group(1) or "") + mask


# --- URLs -------------------------------------------------------------------------------------------------------------

# Names that only resolve inside: RFC 6762 (local), RFC 8375 (home.arpa), ICANN's `internal`, Kubernetes' `svc`; and
# what AWS and Azure call a customer's own machines.
_INSIDE = (
    r"svc|local|localdomain|internal|intranet|lan|corp|home\.arpa|cluster\.local|consul|ts\.net"
    r"|(?:rds|cache|elb(?:\.[\w-]+)?|vpce|compute(?:-1)?|dkr\.ecr\.[\w-]+)\.amazonaws\.com|(?:core|database)\.windows\.net"
)
_INSIDE_HOST = re.compile(rf"(?:[\w-]+\.)*(?:{_INSIDE})(?:\.[\w.-]+)?|[\w-]+", re.IGNORECASE | re.ASCII)
_STOPS = (".", ",", ";", ":", "]")


def _url(match: Match) -> str:
    """A public http(s) URL is a document worth naming; any other names a machine."""
    scheme, authority, rest = match.group(1) or "", match.group(2) or "", match.group(3) or ""
    host = authority.split(":")[0]
    public = scheme.lower() in ("http", "https") and "@" not in authority and "[" not in authority
    if public and not _INSIDE_HOST.fullmatch(host) and not host.replace(".", "").isdigit():
        return match.group(0) or ""
    return ADDRESS + (rest[-1] if rest[-1:] in _STOPS else "")


URLS: tuple[Rule, ...] = (
    ("jdbc:", r"\bjdbc:[^\s\"'<>]*[^\s\"'<>(),.;:\]]", ADDRESS),  # jdbc:oracle:thin:scott/tiger@db:1521:orcl
    ("://", r"\b([a-z][a-z0-9+]{1,20})://([^\s\"'<>()/{},?#]*)([^\s\"'<>(){}]*)", _url),
)


# --- numbers ----------------------------------------------------------------------------------------------------------


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


_IPV6 = r"(?:::1|(?:fe[89ab][0-9a-f]|f[cd][0-9a-f]{2})(?::[0-9a-f]{0,4}){2,7}(?:%\w+)?)(?::\d{2,5})?\b"


# --- names ------------------------------------------------------------------------------------------------------------

# What stands before a number in a message as a host stands before its port: `code:40001`, `max_tokens:4096`.
_FIELDS = frozenset(
    """
    actual after allowed at available balance batch block budget bytes capacity char code col column context cost count
    created credit ctx date day depth dim duration elapsed epoch errcode errno error exception exit expected expires
    field given got height hour http id idx index input iteration key kb kv latency left len length level limit line
    long max maximum mb memory message millis min minimum minute model month ms msg needed needs num number offset
    output page param pid position price prompt quota range rank rate ratio remaining request requested required reset
    response resolution result retry row rpd rpm second seed seq sequence signal since size status step temperature tid
    time timeout timestamp token top total tpd tpm type until usage used value version wait warning width window year
    """.split()
)
_SOURCES = frozenset("c cc cpp cu cuh cxx go h hpp java js kt mjs php py pyx rb rs scala ts".split())
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")  # `maxTokens`, `max_tokens`, `MAX-TOKENS`
_CONTAINER = re.compile(r"(?=.*[a-f])[0-9a-f]{12}")  # Docker names a host after its container
_DATED = re.compile(r"2[2-9](?:0[1-9]|1[0-2])|19\d\d|20[0-3]\d")  # `mistral-large:2407`, `since:2024`


def _is_host(name: str, port: str) -> bool:
    if not (name[0].isalpha() and len(name) > 1) and not _CONTAINER.fullmatch(name.lower()):
        return False
    last = (_WORDS.findall(name) or [""])[-1].lower()
    return last not in _FIELDS and last.removesuffix("s") not in _FIELDS and int(port) < 1 << 16


def _host(match: Match) -> str:
    """A port of four or five digits names a host well enough, unless it is the value of a field, a line or a date."""
    lead, name, port, more = (match.group(group) or "" for group in (1, 2, 3, 4))
    is_port = not more and not _DATED.fullmatch(port) and name.rpartition(".")[2].lower() not in _SOURCES
    return lead + ADDRESS if is_port and _is_host(name, port) else match.group(0) or ""


def _machine(match: Match) -> str:
    """After a word for a machine any port will do."""
    lead, name, port = (match.group(group) or "" for group in (1, 2, 3))
    return lead + ADDRESS if _is_host(name, port) else match.group(0) or ""


def _pod(match: Match) -> str:
    """`vllm-7d9c5b6f4-x2x7k`: the hash of a ReplicaSet has digits and letters, `-20241022-turbo` has not."""
    hashed = match.group(1) or ""
    mixed = any(map(str.isdigit, hashed)) and any(map(str.isalpha, hashed))
    return ADDRESS if mixed else match.group(0) or ""


_MACHINES = (
    r"\b((?:dial (?:tcp|udp)|connect(?:ing|ion|ed)? to|host|lookup|upstream|backend|server|node|pod|worker|endpoint) "
    r"[\"'`]?)"
)
_MACHINE_HINTS = "dial connect host lookup upstream backend server node pod worker endpoint"

# Kubernetes draws names from consonants and digits, apimachinery/pkg/util/rand; people who make them up write hex.
_DRAWN = "[bcdfghjklmnpqrstvwxz2456789]"
_POD = rf"\b[a-z][a-z0-9-]*-({_DRAWN}{{8,10}}|[0-9a-f]{{8,10}})-[a-z0-9]{{5}}\b(?::\d{{1,5}}\b)?"

HOSTS: tuple[Rule, ...] = (
    # (host='vllm', port=8000) of urllib3, ('10.1.2.3', 8000) of asyncio
    ("host=", r"\bhost=['\"][^'\"\s]*['\"], port=\d+", ADDRESS),
    ("(' (\"", r"\(['\"][\w.:-]+['\"], \d{1,5}\)", ADDRESS),
    ("[", r"\[([0-9a-f]*:[0-9a-f:.]*(?:%\w+)?)\](:\d{1,5}\b)?", _bracketed),
    (".", r"(?:::ffff:|\b)(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(:\d{1,5}\b)?(?:/\d{1,2}\b)?", _ipv4),
    (":", r"(^|[\s\"'`(=:,\[>@])" + _IPV6, after_lead(ADDRESS)),
    (":", r"\b[0-9a-f]{2}(?::[0-9a-f]{2}){5}\b", ADDRESS),  # of a network card
    ("ip- ec2-", r"\b(?:ip|ec2)(?:-\d{1,3}){4}\b(?:\.[\w.-]*\w)?(?::\d{1,5}\b)?", ADDRESS),
    (".", rf"\b(?:[a-z0-9_-]+\.)+(?:{_INSIDE})\b(?:\.[a-z0-9.-]*[a-z0-9])?(?::\d{{1,5}})?", ADDRESS),
    ("localhost", r"\blocalhost(?::\d{1,5})?\b", ADDRESS),
    ("-", _POD, _pod),
    ("gke- aks-", r"\b(?:gke-[\w-]+-[0-9a-f]{8}-[a-z0-9]{4}|aks-[\w-]+-vmss\w+)\b", ADDRESS),
    ("serviceaccount:", r"\bsystem:serviceaccount:[\w:-]*\w", ADDRESS),
    (":", r"(^|//|[^\w./-])([a-z0-9](?:[\w.-]*\w)?):(\d{4,5})\b(\.\d)?", _host),
    (_MACHINE_HINTS, rf"{_MACHINES}([a-z][\w.-]*):(\d{{2,5}})\b", _machine),
    (_MACHINE_HINTS, rf"{_MACHINES}[a-z][\w.]*-[\w.-]*\d[\w-]*", after_lead(ADDRESS)),
    ("pod", r"\b(pods?(?:/| [\"'`]))[a-z][\w.-]*\w", after_lead(ADDRESS)),
    ("lookup enotfound eai_again", r"\b((?:lookup|enotfound|eai_again) )[\w.-]*\w", after_lead(ADDRESS)),
    ("resolve", r"\b(resolve host(?:name)?:? [\"'`]?)[\w.-]*\w", after_lead(ADDRESS)),
    ("resolve", r"\b(failed to resolve )['\"][^'\"\s]+['\"](?: \(\[errno)", after_lead(f"{ADDRESS} ([Errno")),
    ("port", r"\b(connect to )[\w.-]+ port \d+", after_lead(ADDRESS)),  # curl
    # in memory: <vllm.Engine object at 0x7f00>
    ("0x", r"<[^<>()]{1,200} at 0x[0-9a-f]+>", ADDRESS),
    ("0x", r"\b0x(?:7f[0-9a-f]{2,}|[0-9a-f]{9,})\b", ADDRESS),
)
