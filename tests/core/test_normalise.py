"""The whole pipeline on the library as shipped: examples of each step, and what holds for any bytes whatever.

The properties run 1,000 examples each, and with `make fuzz` as many as its profile says.
"""

import json
import re
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from postel.core.evidence import Cause, End, Evidence, Headers, Phase, Request
from postel.core.fault import BASE
from postel.core.normalise import Normaliser
from postel.core.redact import Redactor
from postel.core.render import Policy, Reply
from postel.core.rules import Verdict
from postel.core.subject import Subject
from tests.library import built_in

MANY = settings(max_examples=max(1000, settings().max_examples), derandomize=settings().max_examples < 1000)
"""The same examples each time but under `make fuzz`: what chance finds should not stop a change it has no part in."""

UNUSUAL = re.compile(rb"[^\t\n\x20-\x7e]|\\u")
NOW = 1_760_000_000.0


@cache
def library(dialect: str = "openai", *, provenance: bool = False) -> Normaliser:
    loaded = built_in()
    return Normaliser(loaded.rules, loaded.dialects[dialect], policy=Policy(provenance=provenance))


def answered(status: int, body: object = b"", *headers: tuple[str, str], request: bytes = b"") -> Evidence:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Evidence(Phase.RESPONSE, Request(body=request), status, headers=Headers.of(headers), body=raw)


def told(evidence: Evidence, *, jitter: float = 0.0, dialect: str = "openai", provenance: bool = False) -> Reply | None:
    judge = library(dialect, provenance=provenance)
    return judge.answer(evidence, request_id="mine-1", now=NOW, jitter=jitter)


def error_of(reply: Reply) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(reply.body)["error"]
    return error


# Examples -------------------------------------------------------------------------------------------------------------


def test_a_healthy_answer_is_left_alone() -> None:
    assert None is told(answered(200, {"object": "chat.completion", "choices": [{"message": {"content": "hi"}}]}))
    assert None is told(answered(204))
    assert None is told(answered(302, {"error": "moved"}))


@pytest.mark.parametrize(
    ("cause", "status", "fault"),
    [
        ("refused", 502, "upstream_unreachable"),
        ("unreachable", 502, "upstream_unreachable"),
        ("dns", 502, "upstream_unreachable"),
        ("connect_timeout", 502, "upstream_unreachable"),
        ("tls", 502, "bad_gateway"),
        ("closed", 502, "bad_gateway"),
        ("bad_head", 502, "bad_gateway"),
        ("bad_framing", 502, "bad_gateway"),
        ("head_too_large", 502, "bad_gateway"),
        ("body_cut", 502, "bad_gateway"),
        ("answer_too_large", 502, "bad_gateway"),
        ("head_timeout", 504, "timeout"),
        ("body_timeout", 504, "timeout"),
        ("bad_request", 400, "malformed_request"),
        ("request_head_too_large", 400, "malformed_request"),
        ("connect_method", 405, "method_not_allowed"),
        ("request_too_large", 413, "payload_too_large"),
        ("request_timeout", 408, "request_timeout"),
    ],
)
def test_each_cause_without_an_answer_is_its_fault(cause: str, status: int, fault: str) -> None:
    reply = told(Evidence(Phase.TRANSPORT, cause=Cause(cause), detail="[Errno 1] 10.0.0.7:8000 /srv/x.py"))

    assert reply
    assert (status, fault) == (reply.status, reply.fault)
    assert "10.0.0.7" not in reply.message
    assert "/srv" not in reply.message


def test_every_cause_has_a_rule_of_its_own() -> None:
    replies = {cause: told(Evidence(Phase.TRANSPORT, cause=cause)) for cause in Cause}

    assert [] == [cause for cause, reply in replies.items() if reply is None or not reply.rule]


@pytest.mark.parametrize(("end", "fault"), [(End.CLOSED, "stream_interrupted"), (End.STALLED, "stream_stalled")])
def test_a_stream_that_stops_short_is_told_even_without_a_rule(end: End, fault: str) -> None:
    reply = told(Evidence(Phase.END, end=end, events=3))

    assert reply
    assert fault == reply.fault


@pytest.mark.parametrize(("status", "fault"), [(477, "malformed_request"), (577, "internal"), (999, "internal")])
def test_a_status_that_nobody_knows_keeps_its_class(status: int, fault: str) -> None:
    reply = told(answered(status))

    assert reply
    assert fault == reply.fault


def test_jitter_spreads_defaults_upwards_by_a_quarter_and_told_waits_not_at_all() -> None:
    waits = [told(answered(503), jitter=jitter) for jitter in (0.0, 0.5, 0.999)]
    named = [told(answered(503, b"", ("Retry-After", "7")), jitter=jitter) for jitter in (0.0, 0.999)]

    assert [10, 12, 13] == [reply.retry_after for reply in waits if reply]
    assert [7, 7] == [reply.retry_after for reply in named if reply]


def test_a_quota_tells_its_wait_and_is_still_not_to_be_retried() -> None:
    body = {"error": {"message": "used up", "type": "insufficient_quota", "code": "insufficient_quota"}}
    reply = told(answered(429, body, ("Retry-After", "30")))

    assert reply
    assert ("quota_exhausted", 30, "false") == (
        reply.fault,
        reply.retry_after,
        dict(reply.headers)["x-should-retry"],
    )


def test_the_upstreams_own_words_reach_the_client_without_what_is_nobodys_business() -> None:
    redacted = Normaliser(library().rules, library().dialect, Redactor(("blue-\\d+",)))
    evidence = answered(503, {"error": {"message": "node blue-42 at 10.1.2.3:8000 has no free slot"}})

    reply = redacted.answer(evidence, request_id="mine-1", now=NOW)

    assert reply
    assert "no free slot" in reply.message
    assert "blue-42" not in reply.message
    assert "10.1.2.3" not in reply.message


# An overflow, for clients that look into the words -------------------------------------------------------------------

OWN = "This model's maximum context length is smaller than this input."
VLLM = "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens. Please reduce it."
GROQ = "Please reduce the length of the messages or completion."
LLAMA = "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it"


def overflow(message: str | None, phase: Phase = Phase.RESPONSE, dialect: str = "openai") -> Reply:
    body = {"error": {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}}
    raw = json.dumps(body).encode()
    evidence = answered(400, raw) if phase is Phase.RESPONSE else Evidence(phase, body=b"data: " + raw)
    reply = told(evidence, dialect=dialect)
    assert reply
    assert "context_length_exceeded" == reply.fault
    return reply


@pytest.mark.parametrize(
    ("said", "answer", "streamed"),
    [
        (VLLM, f"{VLLM} (context_length_exceeded)", f"{VLLM} The input exceeds the context window."),
        (
            "Too long",
            f"Too long. {OWN} (context_length_exceeded)",
            f"Too long. {OWN} The input exceeds the context window.",
        ),
        (
            GROQ,
            f"{GROQ} {OWN} (context_length_exceeded)",
            f"{GROQ} {OWN} The input exceeds the context window.",
        ),
        (
            LLAMA,
            f"{LLAMA}. {OWN} (context_length_exceeded)",
            f"{LLAMA}. {OWN} The input exceeds the context window.",
        ),
        (None, f"{OWN} (context_length_exceeded)", f"{OWN} The input exceeds the context window."),
        (
            "Your input exceeds the context window of this model.",
            f"Your input exceeds the context window of this model. {OWN} (context_length_exceeded)",
            f"Your input exceeds the context window of this model. {OWN}",
        ),
        (f"{VLLM} [context_length_exceeded]", f"{VLLM} [context_length_exceeded]", None),
    ],
)
def test_an_overflow_is_told_in_the_words_that_clients_look_for(said: str, answer: str, streamed: str | None) -> None:
    reply = overflow(said)
    assert answer == reply.message == error_of(reply)["message"]
    if streamed:
        assert streamed == reply.streamed["message"] == overflow(said, Phase.EVENT).streamed["message"]


@pytest.mark.parametrize("said", [None, VLLM, GROQ, LLAMA, "x" * 600, "long words " * 60, VLLM + " and more" * 60])
@pytest.mark.parametrize(
    "dialect", ["openai", "siati", "siati-router", "budget-gateway", "cai", "anthropic", "problem"]
)
def test_an_overflow_that_was_told_is_told_the_same_again(said: str | None, dialect: str) -> None:
    once = overflow(said, dialect=dialect)
    headers = Headers.of(once.headers)
    again = told(Evidence(Phase.RESPONSE, status=once.status, headers=headers, body=once.body), dialect=dialect)

    assert again
    assert once.body == again.body
    assert len(once.message) <= 500


def test_claudes_clients_are_told_in_claudes_words() -> None:
    assert "The prompt is too long for this model." == overflow(None, dialect="anthropic").message
    assert f"{VLLM} The prompt is too long." == overflow(VLLM, dialect="anthropic").message


# Dialects -------------------------------------------------------------------------------------------------------------


def test_what_a_dialect_says_of_a_fault_it_hears_when_it_is_said_to_it() -> None:
    """Postel behind Postel, whatever both speak: the codes and types of each dialect are known to the rules."""
    for name in built_in().dialects:
        judge = library(name)
        for fault in (*BASE, *judge.dialect.parents):
            if fault == "client_closed":
                continue
            param = "model" if fault == "model_not_found" else None
            verdict = Verdict(fault, "made-up", "It broke.", param)
            once = judge.tell(Subject(answered(500)), verdict, request_id="mine-1", now=NOW, jitter=0)
            again = told(answered(once.status, once.body, *once.headers), dialect=name)
            assert again, (name, fault)
            assert (once.body, meaningful(once)) == (again.body, meaningful(again)), (name, fault)


OLD = {"object": "error", "detail": "queue is full", "error": {"message": "queue is full"}, "code": 503}


def carrying(*names: str, dialect: str = "openai") -> Normaliser:
    made = library(dialect)
    return replace(made, policy=replace(made.policy, keep=names))


def test_old_keys_are_carried_on_answers_where_they_are_asked_for() -> None:
    reply = carrying("detail", "object").answer(answered(503, OLD), request_id="mine-1", now=NOW)
    plain = told(answered(503, OLD))

    assert reply
    assert plain
    document = json.loads(reply.body)
    assert {"detail": "queue is full", "object": "error"} == {k: v for k, v in document.items() if k != "error"}
    assert json.loads(plain.body) == {"error": document["error"]}


def test_old_keys_are_not_carried_where_there_are_none_nor_in_other_shapes_nor_without_an_answer() -> None:
    made = carrying("detail")
    replies = [
        made.answer(evidence, request_id="mine-1", now=NOW)
        for evidence in (
            answered(503, {"error": "queue is full"}),
            answered(503, b"queue is full"),
            Evidence(Phase.TRANSPORT, cause=Cause.REFUSED),
            Evidence(Phase.EVENT, body=b'data: {"error": {"message": "x"}, "detail": "queue is full"}'),
        )
    ]
    for reply in replies:
        assert reply
        assert ["error"] == list(json.loads(reply.body))
    for dialect in ("anthropic", "problem"):
        reply = carrying("detail", "object", dialect=dialect).answer(answered(503, OLD), request_id="mine-1", now=NOW)
        assert reply
        assert "object" not in json.loads(reply.body)


def test_a_route_has_its_dialect_and_its_old_keys() -> None:
    made = replace(library(), dialects={"a": library("anthropic").dialect})
    route = made.speaking("a", ("detail",))

    assert ("anthropic", ("detail",)) == (route.dialect.name, route.policy.keep)
    assert (made.rules, made.dialects) == (route.rules, route.dialects)


# What holds for any bytes ---------------------------------------------------------------------------------------------

WORDS = [
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens",
    "Rate limit reached for requests. Please try again in 6.2s.",
    "You exceeded your current quota, please check your plan and billing details.",
    "The model `x` does not exist",
    "Incorrect API key provided: sk-abc***xyz",
    "model is still loading",
    "upstream connect error or disconnect/reset before headers. reset reason: overflow",
    "Engine loop is not running. Inspect the stacktrace to find the original error.",
    "no healthy upstream",
    "context deadline exceeded",
    "permission denied",
    "queue is full",
    "content management policy",
    'Traceback (most recent call last):\n  File "/app/a.py", line 3\nValueError: x',
]
STATUSES = st.one_of(
    st.sampled_from([200, 201, 400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 424, 429, 499]),
    st.sampled_from([500, 501, 502, 503, 504, 507, 520, 524, 529]),
    st.integers(100, 999),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40), st.sampled_from(WORDS))
NAMES = st.sampled_from(
    "error message type code param detail errors status retry_after msg loc object fault reason".split()
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(NAMES | st.text(max_size=6), inner, max_size=5)
    ),
    max_leaves=12,
)


def dumped(document: object) -> bytes:
    return json.dumps(document).encode("utf-8", "surrogatepass")


ERRORS = st.fixed_dictionaries(
    {
        "error": st.fixed_dictionaries(
            {"message": SCALARS},
            optional={
                "type": SCALARS,
                "code": SCALARS,
                "param": SCALARS,
            },
        )
    }
)
PAGES = st.builds(
    "<html><head><title>{0}</title></head><body><h1>{0}</h1><p>{1}</p>".format,
    st.sampled_from(WORDS),
    st.text(max_size=60),
)
BODIES = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass")),
    DOCUMENTS.map(dumped),
    ERRORS.map(dumped),
    st.builds(lambda body, cut: body[:cut], ERRORS.map(dumped), st.integers(0, 80)),
    PAGES.map(lambda text: text.encode("utf-8", "surrogatepass")),
)
VALUES = st.one_of(
    st.sampled_from(
        ["0", "1", "-1", "1.5", "59", "60", "1e400", "nan", "6m0s", "20ms", "soon", "text/html", "application/json"]
    ),
    st.sampled_from(
        ["Fri, 20 Nov 2026 15:41:00 GMT", "2026-11-20T15:41:00Z", "1760000030", "1760000030000", "gzip", ""]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
)
FIELDS = st.one_of(
    st.sampled_from(
        """
        retry-after Retry-After-Ms x-ratelimit-remaining-requests x-ratelimit-reset-requests ratelimit-reset
        content-type content-encoding server x-request-id grpc-status grpc-message www-authenticate
        set-cookie x-should-retry date x-amzn-errortype via cf-ray content-length l5d-proxy-error
        """.split()
    ),
    st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,12}", fullmatch=True),
)
HEADERS = st.lists(st.tuples(FIELDS, VALUES), max_size=6).map(Headers.of)
REQUESTS = st.builds(
    Request,
    method=st.sampled_from(["POST", "GET", "HEAD", "PUT"]),
    path=st.sampled_from(
        ["/v1/chat/completions", "/v1/responses", "/v1/models", "/api/generate", "/v1/messages", "/x"]
    ),
    body=st.one_of(st.just(b""), st.binary(max_size=80), DOCUMENTS.map(dumped)),
)
ANSWERS = st.builds(
    Evidence,
    phase=st.just(Phase.RESPONSE),
    request=REQUESTS,
    status=STATUSES,
    reason=VALUES,
    headers=HEADERS,
    body=BODIES,
)
FAILURES = st.builds(
    Evidence,
    phase=st.just(Phase.TRANSPORT),
    request=REQUESTS,
    cause=st.sampled_from(Cause),
    detail=st.sampled_from(WORDS) | VALUES,
)
EVENTS = st.builds(
    Evidence,
    phase=st.just(Phase.EVENT),
    request=REQUESTS,
    headers=HEADERS,
    body=BODIES,
    event=st.none() | VALUES,
    stray=st.booleans(),
)
ENDS = st.builds(
    Evidence,
    phase=st.just(Phase.END),
    request=REQUESTS,
    headers=HEADERS,
    body=BODIES,
    end=st.sampled_from(End),
    events=st.integers(0, 9),
    finish_reason=st.sampled_from([None, "stop", "error", "abort"]),
)
SINGLE = ["content-type", "content-length", "x-request-id", "retry-after", "x-should-retry", "cache-control"]
NEVER = {"content-encoding", "transfer-encoding", "retry-after-ms", "connection", "server"}


def is_envelope(reply: Reply, method: str) -> None:
    """Assert everything that DESIGN section 6 says of an error answer."""
    fields = dict(reply.headers)
    assert 400 <= reply.status < 600
    assert reply.fault in BASE
    assert [] == [name for name, _ in reply.headers if name != name.lower()]
    assert [] == [name for name in SINGLE if [key for key, _ in reply.headers].count(name) > 1]
    assert set() == NEVER & set(fields)
    assert ("application/json", "mine-1", "no-store") == (
        fields["content-type"],
        fields["x-request-id"],
        fields["cache-control"],
    )
    assert fields["x-should-retry"] == ("true" if reply.retryable and (reply.retry_after or 0) <= 59 else "false")
    assert fields.get("retry-after") == (None if reply.retry_after is None else str(reply.retry_after))
    assert reply.retry_after is None or reply.retry_after >= 1
    assert "retry-after" not in fields or reply.retryable or reply.fault in {"quota_exhausted", "payment_required"}
    if method == "HEAD":
        assert b"" == reply.body
        return
    assert fields["content-length"] == str(len(reply.body))
    document = json.loads(reply.body.decode("utf-8"))
    assert ["error"] == list(document)
    error = document["error"]
    assert ["message", "type", "param", "code"] == [key for key in error if key != "details"]
    assert isinstance(error["message"], str)
    assert 0 < len(error["message"].strip()) <= 600
    assert isinstance(error["type"], str)
    assert isinstance(error["param"], str | None)
    assert isinstance(error["code"], str | None)
    assert Redactor().redact(error["message"]) == error["message"]
    assert [] == [tag for tag in ("<html", "<h1>") if tag in error["message"]]


@MANY
@given(
    st.one_of(ANSWERS, ANSWERS, FAILURES, EVENTS, ENDS),
    st.floats(0, 1, exclude_max=True),
    st.deferred(lambda: st.sampled_from(tuple(built_in().dialects))),
)
def test_whatever_comes_is_told_as_one_valid_envelope_or_left_alone(
    evidence: Evidence, jitter: float, other: str
) -> None:
    for dialect in ("openai", other):
        reply = told(evidence, jitter=jitter, dialect=dialect)
        if reply is not None and dialect == "openai":
            is_envelope(reply, evidence.request.method)
        if reply is not None:
            assert b"" == reply.body or isinstance(json.loads(reply.body.decode()), dict)
        if evidence.phase is Phase.RESPONSE and evidence.status and 400 <= evidence.status:
            assert reply is not None or evidence.status in passable()
        if evidence.phase in (Phase.TRANSPORT, Phase.END):
            assert reply is not None


@cache
def passable() -> frozenset[int]:
    """Statuses on which some rule says `then: pass`: there an error may be left alone."""
    return frozenset(
        status
        for rule in library().rules.known.values()
        if rule.then.fault is None
        for alternative in rule.alternatives
        for status in alternative.statuses
    )


def meaningful(reply: Reply) -> list[tuple[str, str]]:
    """Its headers without the one that names the hop before."""
    return sorted(field for field in reply.headers if field[0] != "x-upstream-request-id")


@MANY
@given(ANSWERS.map(lambda evidence: replace(evidence, request=Request())))
def test_normalising_twice_is_normalising_once(evidence: Evidence) -> None:
    """Postel behind Postel: a reply that is an upstream's answer is told again with the same words and waits.

    Left out: control characters and unusual spaces, which are cleaned away, so that words meet that did not; statuses
    that HTTP does not have; and resets of buckets that do not say what remains, which count by the words around them.
    """
    assume(not UNUSUAL.search(evidence.body))
    assume(evidence.status and evidence.status < 600)
    assume(not any("reset" in name.lower() for name, _ in evidence.headers.fields))
    once = told(evidence)
    if once is None:
        return
    again = told(
        Evidence(Phase.RESPONSE, evidence.request, once.status, headers=Headers.of(once.headers), body=once.body)
    )

    assert again
    assert (once.status, error_of(once)) == (again.status, error_of(again))
    assert meaningful(once) == meaningful(again)


PREFIXES = ["failed on this text: ", "input was: ", "while handling '", "> "]
NEUTRAL = "tell me a long story about the sea and a small boat"


def echoed(said: str, prompt: str, status: int, shape: str) -> Reply:
    """What a client is told when its prompt stands in the upstream's words."""
    bodies: dict[str, object] = {
        "error": {"error": {"message": said}},
        "detail": {"detail": said},
        "flat": {"message": said},
        "text": said.encode(),
    }
    request = json.dumps({"messages": [{"role": "user", "content": f"Please repeat: {prompt}"}]}).encode()
    reply = told(answered(status, bodies[shape], request=request))
    assert reply
    return reply


@MANY
@given(
    st.sampled_from(PREFIXES),
    st.sampled_from([words for words in WORDS if "\n" not in words]),
    st.sampled_from([400, 422, 500, 503, 429, 404]),
    st.sampled_from(["error", "detail", "flat", "text"]),
)
def test_error_words_that_the_upstream_echoes_do_not_change_the_verdict(
    prefix: str, planted: str, status: int, shape: str
) -> None:
    loud = echoed(f"{prefix}{planted}", planted, status, shape)
    quiet = echoed(f"{prefix}{NEUTRAL}", NEUTRAL, status, shape)

    assert (quiet.status, quiet.fault, quiet.retryable) == (loud.status, loud.fault, loud.retryable)


def test_a_wait_in_echoed_words_is_no_wait() -> None:
    planted = "Please try again in 42s."

    assert 10 == echoed(f"failed on this text: {planted}", planted, 503, "error").retry_after
