"""What one API promises its clients: status, type and code of each fault, and the shape in which it is told.

Owns the question "which source is nearest": the dialect on this fault, the pack on this fault, the dialect on the
parent, the base table. Knows no upstream and no HTTP. Built by `rulefile.load` from `rules/dialects/*.yaml`; asked by
`normalise`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from postel.core.addition import Addition
from postel.core.envelope import NO_TYPE, Envelope
from postel.core.fault import Blame, FaultRow, Faults

KEYS = ("message", "type", "param", "code", "details")


@dataclass(frozen=True, slots=True)
class Terms:
    """One fault in one dialect, every field decided. `retry_after` is a default in seconds, 0 for none.

    `stream_type` is the type of an error that is told inside a stream.
    """

    status: int
    type: str
    stream_type: str
    code: str | None
    message: str
    additions: tuple[Addition, ...]
    retryable: bool
    retry_after: float
    blame: Blame


@dataclass(frozen=True, slots=True)
class Dialect:
    """A dialect with everything it inherits merged in.

    `parents` names the finer faults it adds. `keep_codes` are upstream codes that pass as they are whatever the fault;
    `keep_codes_of` those that pass on one fault only. `keys` are the keys of the error object in the order sent;
    `details` is left out where there are none. `type_uri` is a problem's, `{code}` in it stands for the code.
    `stream_type` replaces the type inside a stream, where the fault is not the client's. `says` is what the message of
    a fault must not lack.
    """

    name: str
    rows: Mapping[str, FaultRow] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)
    keep_codes: frozenset[str] = frozenset()
    keep_codes_of: Mapping[str, frozenset[str]] = field(default_factory=dict)
    keys: tuple[str, ...] = KEYS
    envelope: Envelope = "openai"
    type_uri: str = NO_TYPE
    stream_type: str | None = None
    says: Mapping[str, tuple[Addition, ...]] = field(default_factory=dict)

    def terms(self, fault: str, faults: Faults, upstream_code: object = None) -> Terms:
        """What to say of `fault`; `upstream_code` is what the upstream itself called it.

        Raises KeyError for a fault that nobody declared.
        """
        line = faults.lineage(fault)
        near = [row for name in line for row in (self.rows.get(name), faults.rows[name]) if row]

        status = _first(row.status for row in near)
        message = _first(row.message for row in near)
        blame: Blame | None = _first(row.blame for row in near)
        assert status is not None and message is not None and blame is not None, "the base table says all three"
        code = _first(row.code for row in near)
        if isinstance(upstream_code, str) and (
            upstream_code in self.keep_codes or any(upstream_code in self.keep_codes_of.get(name, ()) for name in line)
        ):
            code = upstream_code
        type = _first(row.type for row in near) or ("server_error" if status >= 500 else "invalid_request_error")
        return Terms(
            status=status,
            type=type,
            stream_type=type if self.stream_type is None or blame == "client" else self.stream_type,
            code=line[-1] if code is None else code,
            message=message,
            additions=_first(self.says.get(name) for name in line) or (),
            retryable=bool(_first(row.retryable for row in near)),
            retry_after=_first(row.retry_after for row in near) or 0,
            blame=blame,
        )


def _first[T](values: Iterable[T | None]) -> T | None:
    return next((value for value in values if value is not None), None)
