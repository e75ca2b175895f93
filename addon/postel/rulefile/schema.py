"""Rule files, version 1: the models that a pack is held against, and its reference.

Owns which keys there are and what each one means; editors get it as JSON Schema. What one value may be is in `values`,
what goes together in `compiling`. Filled by `document`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema

from postel.core.fault import BASE, Blame, FaultRow
from postel.rulefile.document import Described
from postel.rulefile.finding import Problem, refusal
from postel.rulefile.values import (
    CauseWord,
    Detail,
    Duration,
    EndWord,
    Expressions,
    Flag,
    MediaType,
    PathValue,
    Statuses,
    Text,
    Value,
    Version,
    Wait,
)

PhaseWord = Literal["response", "event", "end", "transport"]


def _name(pattern: str, data: str) -> str:
    if not re.fullmatch(pattern, data):
        sample = "gpu_quota_exhausted" if pattern == _FAULT_NAME else "acme-queue-full"
        advice = f"use lower-case letters, digits and single separators: {sample}"
        raise refusal([Problem(f"`{data}` is no name", advice)])
    return data


_NAME = "[a-z0-9]+([-._][a-z0-9]+)*"
_FAULT_NAME = "[a-z][a-z0-9]*(_[a-z0-9]+)*"

Name = Annotated[
    str, AfterValidator(partial(_name, _NAME)), WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$"})
]
FaultName = Annotated[
    str, AfterValidator(partial(_name, _FAULT_NAME)), WithJsonSchema({"type": "string", "pattern": f"^{_FAULT_NAME}$"})
]


class Informed(Described):
    """What informs people and never decides."""

    source: str | None = Field(default=None, description="Where the bytes were seen: repository, file and version.")
    since: Version | None = Field(default=None, description="First version of the upstream that sends this, quoted.")
    until: Version | None = Field(default=None, description="Last version of the upstream that sends this, quoted.")
    notes: str | None = Field(default=None, description="Anything else a maintainer should know.")


# An editor offers the base faults; finer ones are only known to who reads all files.
Fault = Annotated[
    str, WithJsonSchema({"anyOf": [{"enum": list(BASE)}, {"type": "string", "pattern": f"^{_FAULT_NAME}$"}]})
]


def _list_or_one(data: object) -> str:
    return "<list>" if isinstance(data, list) else "<mapping>"


class Condition(Described):
    """All of its keys must hold. A value key compares; a text key searches, and its string is the expression."""

    NULL_ADVICE: ClassVar[str] = "`{present: false}` asks for what is missing or null"

    phase: Annotated[
        Annotated[PhaseWord, Tag("<mapping>")] | Annotated[list[PhaseWord], Field(min_length=1), Tag("<list>")],
        Discriminator(_list_or_one),
    ] = Field(default="response", description="Where in the exchange; with several, only keys that all of them have.")
    path: PathValue | None = Field(default=None, description="The request's path, without the query.")
    method: Value | None = Field(default=None, description="The request's method.")
    status: Statuses | None = Field(
        default=None,
        description="The upstream's status: `503`, `5xx`. Not given: 4xx and 5xx. A 2xx only by a rule that names it.",
    )
    headers: dict[str, Value] | None = Field(
        default=None, min_length=1, description="The upstream's headers; one name several times is joined by `, `."
    )
    content_type: MediaType | None = Field(default=None, description="Media type in lower case, without parameters.")
    reason: Expressions | None = Field(default=None, description="Reason phrase of the status line.")
    type: Value | None = Field(default=None, description="`type` of the upstream's error object.")
    code: Value | None = Field(default=None, description="`code` of the upstream's error object.")
    param: Value | None = Field(default=None, description="`param` of the upstream's error object.")
    json_: dict[str, Value] | None = Field(
        default=None, alias="json", min_length=1, description="JMESPath: what it finds in the document as sent."
    )
    message: Expressions | None = Field(default=None, description="The upstream's own words.")
    body: Expressions | None = Field(
        default=None,
        description="Decoded text: the first 64 KiB of an answer; a whole event; what came after the last whole event.",
    )
    event: Value | None = Field(default=None, description="SSE event name.")
    stray: Flag | None = Field(default=None, description="true: bytes between events that are no event.")
    end: EndWord | None = Field(default=None, description="How the stream stopped.")
    finish_reason: Value | None = Field(default=None, description="Last finish reason seen.")
    events: Value | None = Field(default=None, description="Number of whole events so far.")
    cause: CauseWord | None = Field(default=None, description="Why there is no usable answer.")
    detail: Expressions | None = Field(default=None, description="What the system or the TLS library said.")

    @property
    def phases(self) -> list[PhaseWord]:
        return list(dict.fromkeys(self.phase)) if isinstance(self.phase, list) else [self.phase]


When = Annotated[
    Annotated[Condition, Tag("<mapping>")] | Annotated[list[Condition], Field(min_length=1), Tag("<list>")],
    Discriminator(_list_or_one),
]


def alternatives(when: Condition | list[Condition] | None) -> list[Condition]:
    """`when` as a list; a mapping is a list of one."""
    if when is None:
        return []
    return when if isinstance(when, list) else [when]


class Then(Described):
    """What the failure means. A rule that needs another status, type or code needs a finer fault."""

    fault: Fault = Field(description="A base fault, or one of `faults` in this pack.")
    message: Text | None = Field(default=None, description="Template. Not given: the upstream's own words, cleaned.")
    param: Text | None = Field(
        default=None,
        description="Template. Not given: the upstream's; kept only if it is a field of an OpenAI request.",
    )
    retry_after: Wait | None = Field(
        default=None, description="Duration or template. Not given: what the upstream asked for, else the fault's."
    )
    details: dict[str, Detail] = Field(default_factory=dict, description="Templates by name.")


class Rule(Informed):
    """How one failure is recognised, and what it means."""

    id: Name = Field(description="Unique among all packs; begins with the pack's name.")
    summary: str = Field(default="", description="One sentence for people.")
    ambiguous: bool = Field(
        default=False,
        description="Others send these bytes too: a built-in pack's is asked only if the setting `packs` names it.",
    )
    when: When = Field(description="Conditions; a list of mappings means that any of them is enough.")
    then: Annotated[
        Annotated[Literal["pass"], Tag("<word>")] | Annotated[Then, Tag("<mapping>")],
        Discriminator(lambda data: "<word>" if isinstance(data, str) else "<mapping>"),
    ] = Field(description="What it means; `pass`: a true answer, no failure.")


class FaultFields(Described):
    """What a pack or a dialect says of a fault. What is not said is asked of the next nearest."""

    status: int | None = Field(default=None, ge=400, le=599, description="HTTP status.")
    type: str | None = Field(default=None, min_length=1, description="`type` of the error object.")
    code: str | None = Field(default=None, min_length=1, description="`code` of the error object.")
    message: str | None = Field(default=None, min_length=1, description="What to say if the upstream said nothing.")
    retryable: bool | None = Field(default=None, description="May a retry help?")
    retry_after: Duration | None = Field(default=None, description="Wait if the upstream named none; `0s` for none.")
    blame: Blame | None = Field(default=None, description="Who has to act so that it does not come back.")

    def row(self) -> FaultRow:
        return FaultRow(
            status=self.status,
            type=self.type,
            code=self.code,
            message=self.message,
            retryable=self.retryable,
            retry_after=self.retry_after,
            blame=self.blame,
        )


class FinerFault(FaultFields):
    """A finer name for a kind of failure. What it does not say is its parent's."""

    is_: str = Field(alias="is", description="The parent: a base fault, or another of this pack.")


class PackFile(Informed):
    """One upstream's rules. A file of this kind is `acme.yaml`; its cases are beside it in `acme.cases.yaml`."""

    STAND_INS: ClassVar[Mapping[str, Any]] = {"version": 1, "pack": "unnamed", "rules": []}

    version: Literal[1] = Field(description="Version of the grammar.")
    pack: Name = Field(description="Unique name; every rule id begins with it.")
    summary: str = Field(default="", description="Which upstream, which versions.")
    when: When | None = Field(
        default=None, description="Holds beside every rule's own conditions, in the phases that have the key."
    )
    faults: dict[FaultName, FinerFault] = Field(default_factory=dict, description="Finer faults by name.")
    disable: list[str] = Field(default_factory=list, description="Rules of other packs that are wrong here.")
    rules: list[Rule] = Field(description="Tried in this order; the first whose conditions all hold wins.")
