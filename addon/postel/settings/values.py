"""How one setting is written: durations, sizes, lists, addresses.

Owns what each kind of value may look like, and what is said of one that does not. Called by the model in `settings`.
"""

from __future__ import annotations

import re
import ssl
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from postel.core.retry import parse_duration
from postel.core.stream.policy import REPAIRS


def _seconds(value: object) -> object:
    """`5`, `0.5` or a duration with a unit (`5s`, `2m`)."""
    if isinstance(value, str) and re.search(r"[a-z:]", value):
        seconds = parse_duration(value)
        if seconds is None or ":" in value:  # 1:30 is a minute and a half to some, and ninety minutes to others
            raise ValueError("should be seconds or a duration such as 500ms, 5s, 2m")
        return seconds
    return value


def _seconds_or_off(value: object) -> object:
    """As `_seconds`; `off` takes back for a route what the deployment has said."""
    try:
        return None if value == "off" else _seconds(value)
    except ValueError as error:
        raise ValueError(f"{error}, or off") from None


def _size(value: object) -> object:
    """Bytes, or a number with k, m or g (powers of 1024)."""
    if isinstance(value, str) and (match := re.fullmatch(r"(\d+)([kmg])", value.strip().lower())):
        return int(match[1]) * 1024 ** ("kmg".index(match[2]) + 1)
    return value


def _several(value: object) -> object:
    """A list; one comma-separated text where only a text can be given (an environment variable)."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def _several_or_none(value: object) -> object:
    """As `_several`; `none` where an empty text would count as not given (an environment variable)."""
    return () if value == "none" else _several(value)


def _known_repairs(names: tuple[str, ...]) -> tuple[str, ...]:
    for name in names:
        if name not in REPAIRS:
            raise ValueError(f"has no {name!r}, there are {', '.join(sorted(REPAIRS))}")
    return names


def _no_error(names: tuple[str, ...]) -> tuple[str, ...]:
    if "error" in names:
        raise ValueError("has `error`, which is always the rewritten one; name the old keys beside it")
    return names


_Positive = Annotated[float, Field(gt=0, le=86400)]
Seconds = Annotated[_Positive, BeforeValidator(_seconds)]
SecondsOrOff = Annotated[_Positive | None, BeforeValidator(_seconds_or_off)]
Size = Annotated[int, BeforeValidator(_size), Field(ge=1)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]
Repairs = Annotated[tuple[str, ...], BeforeValidator(_several_or_none), AfterValidator(_known_repairs)]

OldKeys = Annotated[tuple[str, ...], BeforeValidator(_several_or_none), AfterValidator(_no_error)]


class Address(BaseModel):
    """A place to listen, written `host:port`, `[::1]:port` or `:port` (every interface)."""

    model_config = ConfigDict(frozen=True)

    host: str
    port: int = Field(ge=0, le=65535)

    @classmethod
    def parse(cls, value: object) -> object:
        if isinstance(value, Address):
            return value
        match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([^:\[\]]*)):(\d{1,5})", str(value).strip())
        if not match or int(match[3]) > 65535:
            raise ValueError("should be host:port, such as 127.0.0.1:8080")
        return {"host": match[1] or match[2] or "", "port": int(match[3])}

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


Listen = Annotated[Address, BeforeValidator(Address.parse)]


def _upstream(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = urlsplit(value.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or re.search(r"\s", parts.netloc):
        raise ValueError("should be a URL such as http://127.0.0.1:8000")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has a port that is no number from 1 to 65535") from None
    if port == 0:
        raise ValueError("has a port that is no number from 1 to 65535")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("should be scheme, host and port only; put the path into the client's base URL")
    if parts.username or parts.password:
        raise ValueError("should carry no credentials; the client's Authorization header is passed on")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{port or (443 if parts.scheme == 'https' else 80)}"


def _certificates(value: object) -> object:
    """What TLS would find out with the first request, and then tell every client."""
    if isinstance(value, str):
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(value)
        except ssl.SSLError:
            raise ValueError(f"{value} holds no certificate in PEM") from None
        except (OSError, ValueError) as error:
            raise ValueError(f"{value} cannot be read ({getattr(error, 'strerror', None) or error})") from None
    return value


Upstream = Annotated[str, BeforeValidator(_upstream)]
Certificates = Annotated[str, BeforeValidator(_certificates)]
