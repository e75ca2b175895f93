"""Every metric, in one table.

Owns names, help texts and labels; all labels are bounded by the rule library and by what is listed here, never by
traffic. A leaf. Counted by `proxy.addon`; an admin server will expose them.
"""

from __future__ import annotations

from typing import Literal

from prometheus_client import Counter

FAULTS = Counter("postel_faults", "Errors told to clients.", ["fault", "rule", "status"])
INTERNAL_ERRORS = Counter("postel_internal_errors", "Exchanges on which Postel itself failed.")
HOLDS_REFUSED = Counter("postel_holds_refused", "Bodies passed unexamined because too much was held already.")
STREAMS = Counter("postel_streams", "Streamed answers, by how they ended.", ["outcome"])
REPAIRS = Counter("postel_repairs", "What was mended in streams, and events dropped as unreadable.", ["kind"])

Outcome = Literal["complete", "failed", "unfinished", "client_closed", "unguarded", "refused"]
"""Of STREAMS: complete; ended in an error event; left unfinished, because an error could not be told; the client left;
passed unexamined; answered with a real status, because it failed before it had begun."""

Repair = Literal["empty_data", "blank_line", "bom", "utf8", "malformed"]
"""Of REPAIRS: those of `core.stream.policy`, and an unreadable event that was dropped."""

UNTOLD = {"fault": "client_closed", "rule": "none", "status": "none"}
"""The labels of FAULTS for a client that left: nobody was there to be told."""
