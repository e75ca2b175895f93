"""What the rules say of one stream, and what is kept of its request for them to say it.

Owns the request of an answer that is guarded: all that was held of it while the head may still become another, the end
of it afterwards, because thousands of streams may be open for minutes. Decides nothing: it asks the core. Made by
`telling`, called by the guard.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from postel.core.echo import last_words
from postel.core.evidence import Evidence, Phase, Request
from postel.core.normalise import Normaliser
from postel.core.render import Reply, fixed_reply
from postel.proxy.budget import Held
from postel.proxy.mishap import failed_inside

EXTRACT = 16 * 1024
"""Bytes of a request that stay while its answer streams; the end, where a chat has its latest words."""

SHARE = 0.5
"""Of all that may be held: thousands of streams must not leave events without room for the sake of a rare check."""


@dataclass(slots=True)
class Judge:
    """`whole` gives the request as it is held; it is not asked again after `shorten`. Never raises."""

    normaliser: Normaliser
    request_id: str
    whole: Callable[[], Request] | None
    extract: Request | None = None

    def __call__(self, evidence: Evidence) -> Reply | None:
        try:
            request = self.extract or (self.whole() if self.whole else evidence.request)
            return self.normaliser.answer(
                replace(evidence, request=request),
                request_id=self.request_id,
                now=time.time(),
                jitter=random.random(),  # noqa: S311
            )
        except Exception:
            failed_inside()
            return fixed_reply(self.request_id) if evidence.phase is Phase.END else None

    def shorten(self, held: Held) -> None:
        """Keep the end of the request and let go of the rest; `held` accounts for it, and may say no."""
        whole, self.whole = self.whole, None
        try:
            request = whole() if whole else Request()
            words = last_words(request.body, EXTRACT)
        except Exception:
            failed_inside()
            return
        self.extract = replace(request, body=words if held.take(len(words), share=SHARE) else b"")
