"""What is done when Postel itself fails: it is counted and logged, and traffic goes on as if Postel were not there.

Owns the count and the words. Called wherever a decision is asked for, in the handler of whatever it raised.
"""

from __future__ import annotations

import logging

from postel import metrics

logger = logging.getLogger(__name__)


def failed_inside() -> None:
    metrics.INTERNAL_ERRORS.inc()
    # Called in exception handlers only.
    logger.error("Postel failed; the upstream's answer goes through as it is", exc_info=True)  # noqa: LOG014
