"""Which request id an exchange carries.

Owns the rule of DESIGN "X-Request-Id": the client's own id if it is safe to repeat, else a fresh one. Draws no random
number: the fresh id is an argument. Called by the proxy once a request, before anything is sent on.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Forward = Literal["always", "uuid", "never"]
"""Which ids the upstream gets. llama-cpp-python 0.3.36 answers 400 to an X-Request-Id that is no UUID."""

# Printable ASCII without space and `"`: safe in a header, a log line and a JSON string alike.
_USABLE = re.compile(r"[!#-~]{1,128}")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class RequestId:
    """`value` goes to the client and, if the policy allows, to the upstream; `refused` is a client's unusable value."""

    value: str
    refused: str | None = None

    def forwarded(self, policy: Forward) -> str | None:
        """The id for the upstream, or None where the policy keeps it back."""
        if policy == "always" or (policy == "uuid" and _UUID.fullmatch(self.value)):
            return self.value
        return None


def choose(sent: Sequence[str], fresh: str) -> RequestId:
    """Decide from the values of the client's X-Request-Id fields; `fresh` is used where they do not serve.

    Several differing values name nothing, so they count as unusable.
    """
    values = [value for value in dict.fromkeys(sent) if value]
    if not values:
        return RequestId(fresh)
    if len(values) == 1 and _USABLE.fullmatch(values[0]):
        return RequestId(values[0])
    return RequestId(fresh, ", ".join(values))
