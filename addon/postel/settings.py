"""Every setting, once: its name, meaning, default and bounds.

Owns the settings model and the order of the sources: flags over environment (`POSTEL_*`) over the config file over
defaults. A leaf that knows neither mitmproxy nor rules; of `rulefile` it borrows the reader, so that all YAML of a user
is one YAML, and every mistake in it has its place. Built by `cli`, read by `run` and `proxy`.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from postel.core.paths import PASSTHROUGH
from postel.core.requestid import Forward
from postel.core.retry import parse_duration
from postel.rulefile import yaml
from postel.rulefile.document import place
from postel.rulefile.finding import Finding, Mark

ENVIRONMENT = "POSTEL_"


class SettingsError(Exception):
    """A setting is wrong. One line per problem: where it was given, what is wrong, how to mend it."""


def _seconds(value: object) -> object:
    """`5`, `0.5` or a duration with a unit (`5s`, `2m`)."""
    if isinstance(value, str) and re.search(r"[a-z:]", value):
        seconds = parse_duration(value)
        if seconds is None or ":" in value:  # 1:30 is a minute and a half to some, and ninety minutes to others
            raise ValueError("should be seconds or a duration such as 500ms, 5s, 2m")
        return seconds
    return value


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


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=86400)]
Size = Annotated[int, BeforeValidator(_size), Field(ge=1)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]


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


class Timeouts(BaseModel):
    """Deadlines in seconds. SDKs give up at 600 s and long prefill is healthy, hence the defaults."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    connect_timeout: Seconds = Field(
        default=5, description="Longest wait for a connection to the upstream, TLS included."
    )
    first_byte_timeout: Seconds = Field(
        default=590, description="Longest wait for the upstream's response head after the request was sent."
    )
    idle_timeout: Seconds = Field(
        default=120, description="Longest silence inside a body after the head, and between events of a stream."
    )


class Route(BaseModel):
    """Settings for some paths. What is not said is the deployment's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(description="A glob over the path without the query; the first route that matches counts.")
    connect_timeout: Seconds | None = None
    first_byte_timeout: Seconds | None = None
    idle_timeout: Seconds | None = None
    retry_stale: bool = Field(
        default=False,
        description="Send any request once more that met a closed reused connection before an answer byte, not only "
        "GET, HEAD and OPTIONS. What may bill twice should stay off.",
    )


class Settings(Timeouts):
    """Everything that can be set, from any source."""

    upstream: Annotated[str, BeforeValidator(_upstream)] = Field(description="Where requests go: scheme, host, port.")
    listen: Listen = Field(default=Address(host="127.0.0.1", port=8080), description="Where clients connect.")
    admin: Literal["off"] = Field(
        default="off", description="The admin server (metrics, probes). Not in this version: only `off`."
    )
    rules: Texts = Field(default=(), description="Rule files or folders of your own, asked before the built-in ones.")
    packs: Texts | None = Field(
        default=None, description="Of engines, providers and proxies, ask only these packs, in this order."
    )
    rules_invalid: Literal["refuse", "skip"] = Field(
        default="refuse", description="A broken rule file of yours: refuse to start, or leave it out and say so."
    )
    dialect: str = Field(default="openai", description="How faults are told: a dialect's name or a dialect file.")
    mode: Literal["enforce", "observe"] = Field(
        default="enforce",
        description="`observe` changes nothing that the upstream sent; only where nothing was sent, an envelope.",
    )
    provenance: bool = Field(default=False, description="Tell clients which fault and rule decided.")
    passthrough: Texts = Field(
        default=PASSTHROUGH, description="Globs of paths whose answers are left alone (probes, metrics, docs)."
    )
    keep_headers: Texts = Field(default=(), description="More upstream headers that stay on a rewritten error.")
    redact: Texts = Field(default=(), description="RE2 expressions; what they match never reaches a client.")
    forward_request_id: Forward = Field(
        default="always", description="Which request ids the upstream gets: `always`, `uuid` (only UUIDs), `never`."
    )
    max_body: Size | None = Field(
        default=None,
        description="Largest request body, and largest answer body that is held, in bytes (k, m, g). None: unlimited.",
    )
    keep_host: bool = Field(default=False, description="Pass the client's Host header instead of the upstream's.")
    upstream_ca: Annotated[str | None, BeforeValidator(_certificates)] = Field(
        default=None, description="PEM file with the CAs an https upstream is held against."
    )
    upstream_insecure: bool = Field(default=False, description="Do not verify an https upstream's certificate.")
    routes: tuple[Route, ...] = Field(default=(), description="Settings for some paths; config file only.")

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        parts = urlsplit(self.upstream)
        if (parts.hostname, parts.port) == (self.listen.host, self.listen.port):
            raise ValueError("upstream and listen are the same address; Postel would call itself")
        return self

    def keep_lower(self) -> frozenset[str]:
        """`keep_headers` as they are compared."""
        return frozenset(name.lower() for name in self.keep_headers)


def env_name(name: str) -> str:
    """`first_byte_timeout` -> `POSTEL_FIRST_BYTE_TIMEOUT`."""
    return ENVIRONMENT + name.upper()


def flag_name(name: str) -> str:
    """`first_byte_timeout` -> `--first-byte-timeout`."""
    return "--" + name.replace("_", "-")


def load(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ, config: str | None = None) -> Settings:
    """Merge the sources and validate the result.

    `flags` holds only what was given on the command line. Raises SettingsError.
    """
    config = config or environ.get(ENVIRONMENT + "CONFIG")
    file = _from_file(Path(config)) if config else yaml.Map(Mark())
    environment = _from_environment(environ)

    def source(loc: tuple[str | int, ...], key: bool) -> str:
        """The setting as it was given; in the file with the place of the value, or of the `key`, at `loc`."""
        name = str(loc[0]) if loc else ""
        inner = "".join(f".{part}" for part in loc[1:])
        if name in flags:
            return flag_name(name)
        if name in environment:
            return env_name(name)
        if name in file:
            mark = place(file, loc, key=key)
            return f"{config}:{mark.line}:{mark.column}: {name}{inner}"
        return name

    try:
        return Settings.model_validate({**file, **environment, **flags})
    except ValidationError as error:
        raise SettingsError("\n".join(_lines(error, source))) from None


def _lines(error: ValidationError, source: Callable[[tuple[str | int, ...], bool], str]) -> Iterator[str]:
    for problem in error.errors(include_url=False):
        loc, kind = problem["loc"], problem["type"]
        where = source(loc, kind == "extra_forbidden")
        match kind:
            case "missing" if len(loc) > 1:
                yield f"{where}: is required"
            case "missing":
                name = str(loc[0])
                yield f"{flag_name(name)} is required (or {env_name(name)}, or `{name}:` in the config file)"
            case "extra_forbidden":
                yield f"{where}: there is no such setting"
            case _:
                text = problem["msg"].removeprefix("Value error, ")
                yield f"{where}: {text[:1].lower()}{text[1:]}" if where else text


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    flat = [name for name in Settings.model_fields if name != "routes"]
    return {name: environ[env_name(name)] for name in flat if environ.get(env_name(name))}


def _from_file(path: Path) -> yaml.Map:
    try:
        document, problems = yaml.parse(path.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: is not UTF-8; save it as UTF-8") from None
    except yaml.Unreadable as error:
        document, problems = None, [(error.mark, error.problem)]
    if document is not None and not isinstance(document, yaml.Map):
        raise SettingsError(f"{path}: should be a mapping of settings to values")
    if problems:
        found = (Finding(path, mark.line, mark.column, problem.text, problem.advice) for mark, problem in problems)
        raise SettingsError("\n".join(map(str, found)))
    return document or yaml.Map(Mark())
