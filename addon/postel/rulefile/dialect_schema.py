"""Dialect files, version 1: the models they are held against, and their reference.

Owns which keys there are; how a dialect and its parents become one is in `dialects`. Filled by `document`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, WithJsonSchema

from postel.core.addition import Addition, Place
from postel.core.envelope import Envelope
from postel.rulefile.document import Described
from postel.rulefile.finding import Problem, refusal
from postel.rulefile.schema import FaultFields, FaultName, Informed, Name
from postel.rulefile.values import Expressions

Key = Literal["message", "type", "param", "code", "details"]

_URI = r"[a-z][a-z0-9+.-]*:\S+"


def _is_uri(data: str) -> str:
    if not re.fullmatch(_URI, data):
        raise refusal([Problem(f"`{data}` is no URI", "begin with a scheme: https://docs.example.com/errors/{code}")])
    return data


Uri = Annotated[str, AfterValidator(_is_uri), WithJsonSchema({"type": "string", "pattern": f"^{_URI}$"})]


class DialectFault(FaultFields):
    """How one fault is told. With `is` it adds a finer fault of its own."""

    is_: str | None = Field(default=None, alias="is", description="The parent of a fault that only this dialect has.")


class SaysEntry(Described):
    """What the message of a fault must not lack, because some client looks for it in the words."""

    unless: Expressions = Field(description="RE2: where one of these is found in the message, nothing is added.")
    add: str = Field(min_length=1, description="A sentence, or a tag in parentheses, to append to the message.")
    in_: Place | None = Field(
        default=None, alias="in", description="Only in an `answer`, or only in the last event of a `stream`."
    )

    def addition(self) -> Addition:
        return Addition(self.unless, self.add, self.in_)


class DialectFile(Informed):
    """What one API promises its clients: status, type and code of each fault, and the shape in which it is told."""

    STAND_INS: ClassVar[Mapping[str, Any]] = {"version": 1, "dialect": "unnamed"}

    version: Literal[1] = Field(description="Version of the grammar.")
    dialect: Name = Field(description="Unique name, as `--dialect` takes it.")
    summary: str = Field(default="", description="Whose API this is.")
    inherits: str | None = Field(default=None, description="The dialect that says what this one does not.")
    keep_codes: Annotated[
        Annotated[list[str], Tag("<list>")] | Annotated[dict[str, list[str]], Tag("<mapping>")],
        Discriminator(lambda data: "<mapping>" if isinstance(data, dict) else "<list>"),
    ] = Field(
        default_factory=list,
        description="Upstream codes that pass as they are, added to the parent's: a list for any fault, or a mapping "
        "of a fault to its list. A `code` that is given beside a fault ends what its parents keep on it.",
    )
    envelope: Envelope | None = Field(
        default=None, description="The shape of an error answer; streams keep their protocol's."
    )
    type_uri: Uri | None = Field(
        default=None,
        description="With `envelope: problem`, the URI of a problem's type; `{code}` in it stands for the code.",
    )
    stream_type: str | None = Field(
        default=None,
        min_length=1,
        description="`type` of an error inside a stream, where the fault is the upstream's or the operator's.",
    )
    keys: list[Key] | None = Field(
        default=None, min_length=1, description="Keys of the error object, in the order in which they are sent."
    )
    says: dict[str, list[SaysEntry]] = Field(
        default_factory=dict, description="What the messages of a fault must not lack; replaces the parent's list."
    )
    faults: dict[FaultName, DialectFault] = Field(default_factory=dict, description="How faults are told, by name.")
