"""Every setting, once: its name, meaning, default and bounds.

Owns the settings model and the order of the sources: flags over environment (`POSTEL_*`) over the config file over
defaults. A leaf that knows neither mitmproxy nor rules; of `rulefile` it borrows the reader, so that all YAML of a user
is one YAML, and every mistake in it has its place. Built by `cli`, read by `run` and `proxy`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from postel.core.evidence import BODY_LIMIT
from postel.core.paths import PASSTHROUGH
from postel.core.requestid import Forward
from postel.core.stream.policy import StreamPolicy
from postel.rulefile import yaml
from postel.rulefile.document import place
from postel.rulefile.finding import Finding, Mark
from postel.settings.values import (
    Address,
    Certificates,
    Listen,
    OldKeys,
    Repairs,
    Seconds,
    SecondsOrOff,
    Size,
    Texts,
    Upstream,
)

__all__ = ["Address", "PerRoute", "Route", "Settings", "SettingsError", "Terms", "env_name", "flag_name", "load"]

ENVIRONMENT = "POSTEL_"


class SettingsError(Exception):
    """A setting is wrong. One line per problem: where it was given, what is wrong, how to mend it."""


class PerRoute(BaseModel):
    """What holds everywhere unless a route says otherwise. SDKs give up at 600 s and long prefill is healthy."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    dialect: str = Field(default="openai", description="How faults are told: a dialect's name or a dialect file.")
    keep: OldKeys = Field(
        default=(),
        description="Top-level keys of the upstream's own JSON error, such as `detail`, that are carried beside our "
        "`error` for clients that still read them. `none`: none are.",
    )
    connect_timeout: Seconds = Field(
        default=5, description="Longest wait for a connection to the upstream, TLS included."
    )
    first_byte_timeout: Seconds = Field(
        default=590,
        description="Longest wait for the upstream's response head, and for a stream's first output, after the request "
        "was sent.",
    )
    idle_timeout: Seconds = Field(
        default=120, description="Longest silence inside a body after the head, and between events of a stream."
    )
    comment_timeout: Seconds = Field(
        default=590,
        description="Longest time in which a stream brings comments only: they prove that the engine lives.",
    )
    total_timeout: SecondsOrOff = Field(
        default=None,
        description="Longest time for the whole answer after the request was sent. Not given, or `off`: no end.",
    )
    hold_time: Seconds = Field(
        default=30,
        description="How long a stream's head waits for the first output: a failure before it becomes a real status.",
    )
    hold_bytes: Size = Field(default=64 * 1024, description="Bytes of a stream's opening that wait with its head.")
    hold_body: Annotated[Size, Field(le=BODY_LIMIT)] = Field(
        default=64 * 1024,
        description="Bytes of a 2xx answer in JSON or text that are held to its end, at most 64k; a larger one passes.",
    )
    keepalive: SecondsOrOff = Field(
        default=None,
        description="Send the client of a stream a comment after so much quiet. Not given, or `off`: never. Leave it "
        "off for clients on go-openai: they take comments for a part of an error that follows, and lose its text.",
    )
    strict: bool = Field(
        default=False,
        description="End a stream at its first unreadable event, instead of leaving it out if a readable one follows.",
    )
    done: Literal["never", "after-error"] = Field(
        default="never",
        description="Whether `data: [DONE]` follows an error in a stream, for clients that read on until they see it.",
    )
    repairs: Repairs = Field(
        default=("empty_data", "blank_line", "bom", "utf8"),
        description="What is mended in streams, because SDKs break on it: events with empty data, a last event "
        "without its blank line, a byte order mark, bytes that are no UTF-8. `none`: nothing is.",
    )


class Route(PerRoute):
    """Settings for some paths. Once part of Settings, it has the deployment's values where it says nothing."""

    path: str = Field(description="A glob over the path without the query; the first route that matches counts.")
    retry_stale: bool = Field(
        default=False,
        description="Send any request once more that met a closed reused connection before an answer byte, not only "
        "GET, HEAD and OPTIONS. What may bill twice should stay off.",
    )


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts for one exchange. Durations in seconds, infinite where there is no bound."""

    dialect: str
    keep: tuple[str, ...]
    connect_timeout: float
    first_byte_timeout: float
    idle_timeout: float
    comment_timeout: float
    total_timeout: float
    hold_body: int
    retry_stale: bool
    stream: StreamPolicy


class Settings(PerRoute):
    """Everything that can be set, from any source."""

    upstream: Upstream = Field(description="Where requests go: scheme, host, port.")
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
    upstream_ca: Certificates | None = Field(
        default=None, description="PEM file with the CAs an https upstream is held against."
    )
    upstream_insecure: bool = Field(default=False, description="Do not verify an https upstream's certificate.")
    routes: tuple[Route, ...] = Field(default=(), description="Settings for some paths; config file only.")

    @field_validator("routes")
    @classmethod
    def _inherit(cls, routes: tuple[Route, ...], info: ValidationInfo) -> tuple[Route, ...]:
        """What a route says counts for it, be it `strict: false`; what it does not say is the deployment's."""
        own = {name: info.data[name] for name in PerRoute.model_fields if name in info.data}
        return tuple(
            route.model_copy(update={name: own[name] for name in own if name not in route.model_fields_set})
            for route in routes
        )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        parts = urlsplit(self.upstream)
        if (parts.hostname, parts.port) == (self.listen.host, self.listen.port):
            raise ValueError("upstream and listen are the same address; Postel would call itself")
        return self

    def for_route(self, route: Route | None = None) -> Terms:
        """What counts for a path; `route` is the one of `routes` that the path matched, if any."""
        said: PerRoute = route or self
        return Terms(
            dialect=said.dialect,
            keep=said.keep,
            connect_timeout=said.connect_timeout,
            first_byte_timeout=said.first_byte_timeout,
            idle_timeout=said.idle_timeout,
            comment_timeout=said.comment_timeout,
            total_timeout=said.total_timeout or inf,
            hold_body=said.hold_body,
            retry_stale=route is not None and route.retry_stale,
            stream=StreamPolicy(
                first_output_timeout=said.first_byte_timeout,
                idle_timeout=said.idle_timeout,
                comment_timeout=said.comment_timeout,
                total_timeout=said.total_timeout or inf,
                hold_time=said.hold_time,
                hold_bytes=said.hold_bytes,
                strict=said.strict,
                done_after_error=said.done == "after-error",
                keepalive=said.keepalive,
                repairs=frozenset(said.repairs),
            ),
        )

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
