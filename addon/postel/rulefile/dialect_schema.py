"""Dialect files, version 1: the models they are held against, and their reference.

Owns which keys there are; how a dialect and its parents become one is in `dialects`. Filled by `document`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from postel.rulefile.schema import FaultFields, FaultName, Informed, Name

Key = Literal["message", "type", "param", "code", "details"]


class DialectFault(FaultFields):
    """How one fault is told. With `is` it adds a finer fault of its own."""

    is_: str | None = Field(default=None, alias="is", description="The parent of a fault that only this dialect has.")


class DialectFile(Informed):
    """What one API promises its clients: status, type and code of each fault, and the shape of the error object."""

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
        "of a fault to its list.",
    )
    keys: list[Key] | None = Field(
        default=None, min_length=1, description="Keys of the error object, in the order in which they are sent."
    )
    faults: dict[FaultName, DialectFault] = Field(default_factory=dict, description="How faults are told, by name.")
