"""Every metric, in one table.

Owns names, help texts and labels; all labels are bounded by the rule library, never by traffic. A leaf. Counted by
`proxy.addon`; an admin server will expose them.
"""

from __future__ import annotations

from prometheus_client import Counter

FAULTS = Counter("postel_faults", "Errors told to clients.", ["fault", "rule", "status"])
INTERNAL_ERRORS = Counter("postel_internal_errors", "Exchanges on which Postel itself failed.")
HOLDS_REFUSED = Counter("postel_holds_refused", "Bodies passed unexamined because too much was held already.")
