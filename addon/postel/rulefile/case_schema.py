"""Case files, version 1: the models that the cases of a pack are held against, and their reference.

Owns what a case may give and expect. What it means is in `cases`. Filled by `document`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, PlainValidator, WithJsonSchema, model_validator

from postel.core.evidence import BODY_LIMIT, Cause, End
from postel.core.stream.policy import REPAIRS
from postel.core.template import Scalar
from postel.rulefile.document import Described
from postel.rulefile.finding import Problem, did_you_mean, refusal
from postel.rulefile.schema import Informed, Name
from postel.rulefile.timeline import StepEntry, decoded
from postel.rulefile.values import Duration, Texts


def _word[W: StrEnum](words: Iterable[W], data: object) -> W:
    found = next((word for word in words if word == data), None)
    if found is not None:
        return found
    raise refusal([Problem(f"`{data}` never occurs here", did_you_mean(str(data), words))])


ENDS = (End.CLOSED, End.BROKEN, End.STALLED)
"""How an upstream can end a body; that it took too long in all is our own finding."""

CauseName = Annotated[Cause, PlainValidator(partial(_word, Cause)), WithJsonSchema({"enum": list(Cause)})]
EndName = Annotated[End, PlainValidator(partial(_word, ENDS)), WithJsonSchema({"enum": list(ENDS)})]


def _read_header(data: object) -> list[str]:
    values = data if isinstance(data, list) else [data]
    if not values or not all(isinstance(value, str | int) and not isinstance(value, bool) for value in values):
        raise refusal([Problem("a header is a text, or a list of texts that come one after the other", "quote it")])
    return [str(value) for value in values]


_TEXTS_SCHEMA = {"anyOf": [{"type": ["string", "integer"]}, {"type": "array", "items": {"type": "string"}}]}
HeaderFields = dict[str, Annotated[list[str], PlainValidator(_read_header), WithJsonSchema(_TEXTS_SCHEMA)]]
Bytes = Annotated[
    bytes, PlainValidator(decoded), WithJsonSchema({"type": "string", "contentEncoding": "base64"}, mode="validation")
]


def _read_repairs(data: object) -> frozenset[str]:
    names = [str(name) for name in (data if isinstance(data, list) else [data])]
    if unknown := [name for name in names if name not in REPAIRS]:
        raise refusal([Problem(f"there is no repair `{unknown[0]}`", did_you_mean(unknown[0], sorted(REPAIRS)))])
    return frozenset(names)


def _read_seconds(data: object) -> int | float:
    if isinstance(data, int | float) and not isinstance(data, bool):
        return data
    raise refusal([Problem(f"`retry_after` is `{data}`", "it is a number here, in seconds: the header has no unit")])


Seconds = Annotated[int | float, PlainValidator(_read_seconds), WithJsonSchema({"type": "number"})]

_REPAIR_SCHEMA = {"enum": sorted(REPAIRS)}
_REPAIRS_SCHEMA = {"anyOf": [_REPAIR_SCHEMA, {"type": "array", "items": _REPAIR_SCHEMA}]}
Repairs = Annotated[frozenset[str], PlainValidator(_read_repairs), WithJsonSchema(_REPAIRS_SCHEMA)]


class GivenRequest(Described):
    """What the client had sent."""

    NULLABLE = frozenset({"json"})

    method: str = Field(default="POST", description="The method.")
    path: str = Field(default="/v1/chat/completions", description="The path; a query is cut off.")
    headers: HeaderFields = Field(default_factory=dict, description="Header fields.")
    json_: Any = Field(default=None, alias="json", description="The body as JSON.")
    body: str | None = Field(default=None, description="The body as a text.")

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        return _checked(self, _too_many(self, "json", "body"))


class GivenSettings(Described):
    """Settings under which the case runs; what is not said has its default."""

    dialect: str = Field(default="openai", description="Name of the dialect.")
    packs: list[str] | None = Field(default=None, min_length=1, description="As the setting `packs`.")
    connect_timeout: Duration | None = Field(default=None, description="Longest wait for a connection.")
    first_byte_timeout: Duration | None = Field(default=None, description="Longest wait for the head.")
    idle_timeout: Duration | None = Field(default=None, description="Longest silence inside a body.")
    comment_timeout: Duration | None = Field(default=None, description="Longest time with nothing but comments.")
    total_timeout: Duration | None = Field(default=None, description="Longest time for the whole answer.")
    hold_time: Duration | None = Field(default=None, description="Longest time for which a stream's head is held.")
    hold_bytes: int | None = Field(default=None, ge=1, description="Bytes of a stream's opening that are held.")
    hold_body: int | None = Field(default=None, ge=1, le=BODY_LIMIT, description="Bytes of a 2xx body that are held.")
    keepalive: Duration | None = Field(default=None, description="Quiet after which the client gets a comment.")
    strict: bool | None = Field(default=None, description="Does the first unreadable event end a stream?")
    done: Literal["never", "after-error"] | None = Field(default=None, description="Does `[DONE]` follow an error?")
    repairs: Repairs | None = Field(default=None, description="What is mended in healthy streams; empty for nothing.")


class Given(Described):
    """What the upstream did: an answer, a stream, or no answer at all (`cause`)."""

    NULLABLE = frozenset({"json"})

    request: GivenRequest = Field(default_factory=GivenRequest, description="What the client had sent.")
    cause: CauseName | None = Field(default=None, description="Why there is no answer.")
    detail: str | None = Field(default=None, description="What the system or the TLS library said.")
    status: int | None = Field(default=None, ge=200, le=999, description="Status; 200 for a stream.")
    reason: str | None = Field(default=None, description="Reason phrase, where it is not the ordinary one.")
    headers: HeaderFields = Field(default_factory=dict, description="Header fields; a list for one name several times.")
    json_: Any = Field(default=None, alias="json", description="The body as JSON; sets the content type too.")
    body: str | None = Field(default=None, description="The body as a text.")
    base64: Bytes | None = Field(default=None, description="The body as bytes.")
    stream: list[StepEntry] | None = Field(
        default=None, description="The timeline of a streamed body, one step a write."
    )
    end: EndName = Field(default=End.CLOSED, description="How the body stopped.")
    settings: GivenSettings = Field(default_factory=GivenSettings, description="Settings for this case.")

    @model_validator(mode="after")
    def _one_story(self) -> Self:
        keys = set(self.keys_given)
        problems = list(_too_many(self, "json", "body", "base64", "stream"))
        if "cause" in keys:
            answer = ("status", "reason", "headers", "json", "body", "base64", "stream", "end")
            problems += [
                Problem("with a `cause` there is no answer", "remove one of them", (key,))
                for key in answer
                if key in keys
            ]
        elif "detail" in keys:
            problems.append(Problem("`detail` goes with a `cause`", "say which, or remove it", ("detail",)))
        elif not keys & {"status", "stream"}:
            problems.append(Problem("nothing is given", "give a `status`, a `stream` or a `cause`"))
        return _checked(self, problems)


class Expect(Described):
    """What must come of it. What is not named is not asked."""

    NULLABLE = frozenset({"fault", "rule", "code", "param", "details", "retry_after"})

    fault: str | None = Field(default=None, description="The fault; null: healthy, and the bytes given come out.")
    rule: str | None = Field(default=None, description="The rule that won; null: none did.")
    status: int | None = Field(default=None, description="Status sent.")
    type: str | None = Field(default=None, description="`type` sent.")
    code: str | None = Field(default=None, description="`code` sent; null as well.")
    param: str | None = Field(default=None, description="`param` sent; null as well.")
    details: dict[str, Scalar] | None = Field(default=None, description="`details` sent; null: none.")
    retry_after: Seconds | None = Field(default=None, description="Retry-After in seconds; null: no such header.")
    retryable: bool | None = Field(default=None, description="May a retry help?")
    message: Texts | None = Field(default=None, description="Texts that the message contains.")
    absent: Texts | None = Field(
        default=None, description="Texts that nothing sent after the last healthy event contains."
    )
    delivered: int | None = Field(
        default=None, ge=0, description="Healthy events that reached the client before the error."
    )
    at: Duration | None = Field(default=None, description="Simulated time at which the error was sent.")
    not_: Texts | None = Field(default=None, alias="not", description="Rules that do not match, whoever wins.")

    @model_validator(mode="after")
    def _something(self) -> Self:
        nothing = Problem("nothing is expected", "name the `rule` and the `fault`, or under `not` a rule")
        return _checked(self, [] if self.keys_given else [nothing])


class Case(Informed):
    """One observed failure (or one that must not be taken for one) and what a client should get."""

    name: str = Field(min_length=1, description="What it proves, in a few words.")
    given: Given = Field(description="What the upstream did.")
    expect: Expect = Field(description="What must come of it.")

    @model_validator(mode="after")
    def _takes_time(self) -> Self:
        given = self.given
        timed = given.stream or given.end is End.STALLED or given.cause in (Cause.CONNECT_TIMEOUT, Cause.HEAD_TIMEOUT)
        advice = "`at` goes with a `stream`, `end: stalled`, or the cause `connect_timeout` or `head_timeout`"
        timeless = Problem("nothing here takes time", advice, ("expect", "at"))
        return _checked(self, [] if timed or self.expect.at is None else [timeless])


class CaseFile(Informed):
    """The cases of one pack; the file lies beside it: `acme.yaml`, `acme.cases.yaml`."""

    STAND_INS: ClassVar[Mapping[str, Any]] = {"version": 1, "pack": "unnamed", "cases": []}

    version: Literal[1] = Field(description="Version of the grammar.")
    pack: Name = Field(description="The pack whose rules these cases prove.")
    cases: list[Case] = Field(
        description="They run against all packs, so that a rule that another one steals is found."
    )


def _too_many(model: Described, *keys: str) -> Iterator[Problem]:
    given = [key for key in model.keys_given if key in keys]
    for key in given[1:]:
        yield Problem(f"`{given[0]}` and `{key}` both say what the body is", "keep one", (key,))


def _checked[M: Described](model: M, problems: Iterator[Problem] | list[Problem]) -> M:
    found = list(problems)
    if found:
        raise refusal(found)
    return model
