"""The pipeline: evidence in, one reply (or "leave it alone") out.

Owns the order of the steps and who is asked for what: the rules say which fault and in whose words, the dialect says
how it is told, `retry` says how long to wait. A pure function of its arguments: `now` and `jitter` come from the edge.
Called by `proxy.addon` for live traffic, and by `rulefile.play` and `postel explain` for recorded traffic.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from postel.core.addition import amended
from postel.core.body import Reading
from postel.core.carry import carried
from postel.core.dialect import Dialect, Terms
from postel.core.evidence import BODY_LIMIT, End, Evidence, Phase
from postel.core.fault import TELLS_WAIT
from postel.core.message import clean
from postel.core.param import openai_field
from postel.core.redact import Redactor
from postel.core.render import OBEYED_WAIT, Policy, Reply, render, seconds
from postel.core.retry import told_wait
from postel.core.rules import RuleSet, Verdict
from postel.core.subject import Subject

JITTER = 0.25
"""Share of a default wait that is spread over clients, so that a fleet does not come back in one second."""


@dataclass(frozen=True, slots=True)
class Normaliser:
    """Rules and a dialect, ready to answer. Immutable: a reload makes a new one, and exchanges keep theirs.

    `dialects` are those that routes may speak, as the settings call them.
    """

    rules: RuleSet
    dialect: Dialect
    redactor: Redactor = field(default_factory=Redactor)
    policy: Policy = field(default_factory=Policy)
    dialects: Mapping[str, Dialect] = field(default_factory=dict)

    def speaking(self, dialect: str, keep: tuple[str, ...]) -> Normaliser:
        """The same rules for a route: one of `dialects`, and the old keys that are carried there."""
        return replace(self, dialect=self.dialects[dialect], policy=replace(self.policy, keep=keep))

    def answer(self, evidence: Evidence, *, request_id: str, now: float, jitter: float = 0.0) -> Reply | None:
        """The reply to send instead of what the upstream did; None where that is healthy and passes untouched.

        `now` is epoch seconds, `jitter` a number in [0, 1) that spreads default waits.
        """
        packed = evidence.headers.get("content-encoding") is not None
        if packed and (evidence.status or 0) in range(200, 300) and len(evidence.body) >= BODY_LIMIT:
            return None  # it was small enough to be held; what was cut off in unpacking cannot be judged
        subject = Subject(evidence)
        verdict = self.rules.classify(subject, self.redactor) or _unruled(evidence)
        if verdict is None or verdict.fault is None:
            return None
        return self.tell(subject, verdict, request_id=request_id, now=now, jitter=jitter)

    def tell(self, subject: Subject, verdict: Verdict, *, request_id: str, now: float, jitter: float) -> Reply:
        """Put a verdict into the dialect's words."""
        assert verdict.fault is not None
        evidence, reading = subject.evidence, subject.reading
        terms = self.dialect.terms(verdict.fault, self.rules.faults, reading.code)
        said = None if _is_told(evidence, reading, terms) else verdict.message
        if said is None and reading.message:
            said = clean(reading.message, self.redactor, evidence.request)
        words = said or terms.message
        is_answer = evidence.phase is Phase.RESPONSE and self.dialect.envelope == "openai"
        return render(
            dialect=self.dialect,
            terms=terms,
            message=amended(words, terms.additions, "answer"),
            streamed=amended(words, terms.additions, "stream"),
            param=openai_field(verdict.param or "") or openai_field(reading.param or ""),
            details=verdict.details,
            carried=carried(reading.document, self.policy.keep if is_answer else (), self.redactor, evidence.request),
            fault=verdict.fault,
            base=self.rules.faults.base(verdict.fault),
            rule=verdict.rule or None,
            wait=self._wait(subject, verdict, terms, now, jitter),
            request_id=request_id,
            upstream=evidence.headers,
            method=evidence.request.method,
            redactor=self.redactor,
            policy=self.policy,
        )

    def _wait(self, subject: Subject, verdict: Verdict, terms: Terms, now: float, jitter: float) -> int | None:
        assert verdict.fault is not None
        if not terms.retryable and self.rules.faults.base(verdict.fault) not in TELLS_WAIT:
            return None
        told = verdict.retry_after or told_wait(
            subject.evidence.headers, subject.reading, now, status=subject.evidence.status, is_echo=subject.is_echo
        )
        if told:
            return seconds(told)
        if not terms.retry_after:
            return None
        spread = terms.retry_after * (1 + JITTER * jitter)
        return seconds(max(terms.retry_after, min(spread, OBEYED_WAIT)))


def _is_told(evidence: Evidence, reading: Reading, terms: Terms) -> bool:
    """Whether another Postel has told the answer in these very terms: a gateway's sidecar did, and knew more."""
    get = evidence.headers.get
    return (
        evidence.status == terms.status
        and reading.code == terms.code
        and get("x-should-retry") is not None
        and get("cache-control") == "no-store"
    )


_ENDS: Mapping[End | None, str] = {End.STALLED: "stream_stalled", End.EXPIRED: "timeout"}


def _unruled(evidence: Evidence) -> Verdict | None:
    """The verdict where no rule matched, which a complete rule library never lets happen.

    An upstream status that nobody knows keeps its class; an unmatched 2xx is healthy, and so is an event that is JSON.
    """
    match evidence.phase:
        case Phase.TRANSPORT:
            fault = "bad_gateway"
        case Phase.END:
            fault = _ENDS.get(evidence.end, "stream_interrupted")
        case Phase.EVENT if not evidence.readable:
            fault = "stream_malformed"
        case Phase.RESPONSE if (evidence.status or 0) >= 500:
            fault = "internal"
        case Phase.RESPONSE if (evidence.status or 0) >= 400:
            fault = "malformed_request"
        case _:
            return None
    return Verdict(fault=fault, rule="", message=None, param=None, retry_after=None, details={})
