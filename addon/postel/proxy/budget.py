"""How much may be held in memory at once.

Owns two numbers: the bytes that all exchanges together hold back, and those of one exchange. A stream asks before it
holds; a refusal means that the body passes unexamined from there on, and a metric says so.
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

    def take(self, size: int, *, share: float = 1.0, again: bool = False) -> bool:
        """Account for `size` more bytes; False if that is too much, and then nothing is taken.

        `share` of the limit is what may be held in all, with these: what is only good to have takes no room from what
        has to be held. `again`: a body that was refused before is counted no second time.
        """
        if self.held + size > self.limit * share:
            if not again and share == 1:
                metrics.HOLDS_REFUSED.inc()
            return False
        self.held += size
        return True

    def give(self, size: int) -> None:
        self.held -= size


@dataclass(slots=True)
class Held:
    """What one body of an exchange has taken from the budget. Giving back twice changes nothing."""

    budget: Budget
    size: int = 0
    refused: bool = False

    def take(self, size: int, *, share: float = 1.0) -> bool:
        """Account for `size` more bytes; False if they may not be held, see `Budget.take`."""
        if not self.budget.take(size, share=share, again=self.refused):
            self.refused = share == 1
            return False
        self.size += size
        return True

    def give_back(self) -> None:
        self.budget.give(self.size)
        self.size = 0
