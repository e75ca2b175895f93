"""How much may be held in memory at once.

Owns one number: the bytes held back by all exchanges together. A stream asks before it holds; a refusal means that the
body passes unexamined from there on, and a metric says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from postel import metrics

TOTAL_HOLD = 64 * 1024 * 1024


@dataclass(slots=True)
class Budget:
    """Bytes held now, of at most `limit`."""

    limit: int = TOTAL_HOLD
    held: int = 0

    def take(self, size: int) -> bool:
        """Account for `size` more bytes; False if that is too much, and then nothing is taken."""
        if self.held + size > self.limit:
            metrics.HOLDS_REFUSED.inc()
            return False
        self.held += size
        return True

    def give(self, size: int) -> None:
        self.held -= size
