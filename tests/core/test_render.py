import json
from dataclasses import replace
from typing import Any

import pytest

from postel.core.dialect import KEYS, Dialect, Terms
from postel.core.evidence import Headers
from postel.core.redact import ADDRESS, Redactor
from postel.core.render import OBEYED_WAIT, Policy, Reply, fixed_reply, kept, render, seconds

WORDS = "The model server is not available."
UNAVAILABLE = Terms(503, "server_error", "server_error", "service_unavailable", WORDS, (), True, 10, "upstream")
OPENAI = Dialect("openai")
ANTHROPIC = Dialect("anthropic", keys=("type", "message"), envelope="anthropic")
PROBLEM = Dialect("problem", envelope="problem")


def reply(**given_here: Any) -> Reply:
    """A plain 503; whatever a test is about is given."""
    told: dict[str, Any] = {
        "dialect": OPENAI,
        "terms": UNAVAILABLE,
        "message": WORDS,
        "streamed": WORDS,
        "param": None,
        "details": {},
        "carried": {},
        "fault": "unavailable",
        "base": "unavailable",
        "rule": "generic-503",
        "wait": 10,
        "request_id": "mine-1",
        "upstream": Headers(),
        "method": "POST",
        "redactor": Redactor(),
        "policy": Policy(),
    }
    return render(**told | given_here)


def spelled(*keys: str) -> Dialect:
    return Dialect("acme", keys=keys)


def field(answer: Reply, name: str) -> list[str]:
    return [value for key, value in answer.headers if key == name]


def test_an_error_is_one_envelope_with_four_keys_in_order() -> None:
    assert (
        b'{"error":{"message":"The model server is not available.","type":"server_error","param":null,'
        b'"code":"service_unavailable"}}'
    ) == reply().body


def test_its_headers_say_all_a_client_needs_and_nothing_twice() -> None:
    answer = reply()

    assert {
        "content-type": "application/json",
        "content-length": str(len(answer.body)),
        "x-request-id": "mine-1",
        "retry-after": "10",
        "x-should-retry": "true",
        "cache-control": "no-store",
    } == dict(answer.headers)
    assert len(answer.headers) == len(dict(answer.headers))


def test_the_length_counts_bytes_and_not_letters() -> None:
    answer = reply(message="zu gro\xdf \U0001f600")

    assert [str(len(answer.body))] == field(answer, "content-length")
    assert "zu gro\xdf \U0001f600" == json.loads(answer.body)["error"]["message"]


def test_head_has_the_length_and_no_body() -> None:
    assert (b"", field(reply(), "content-length")) == (
        (answer := reply(method="HEAD")).body,
        field(answer, "content-length"),
    )


def test_details_are_sent_where_there_are_some_and_the_dialect_has_them() -> None:
    assert {"used": 3} == json.loads(reply(details={"used": 3}).body)["error"]["details"]
    assert "details" not in json.loads(reply(details={"used": 3}, dialect=spelled("message", "type")).body)["error"]


def test_the_dialect_gives_the_order_of_the_keys() -> None:
    assert ["code", "message"] == list(json.loads(reply(dialect=spelled("code", "message")).body)["error"])


@pytest.mark.parametrize(
    ("retryable", "wait", "should"),
    [
        (True, None, "true"),
        (True, 1, "true"),
        (True, OBEYED_WAIT, "true"),
        (True, OBEYED_WAIT + 1, "false"),
        (False, None, "false"),
        (False, 5, "false"),
    ],
)
def test_a_client_should_retry_what_can_be_retried_within_a_minute(
    retryable: bool, wait: int | None, should: str
) -> None:
    answer = reply(terms=replace(UNAVAILABLE, retryable=retryable), wait=wait)

    assert [should] == field(answer, "x-should-retry")
    assert ([] if wait is None else [str(wait)]) == field(answer, "retry-after")


@pytest.mark.parametrize(("wait", "whole"), [(0.001, 1), (1.0, 1), (1.2, 2), (59.1, 60), (3600, 3600)])
def test_a_wait_is_rounded_up_to_whole_seconds(wait: float, whole: int) -> None:
    assert whole == seconds(wait)


def test_provenance_names_fault_and_rule_in_headers_and_body() -> None:
    answer = reply(policy=Policy(provenance=True))

    assert (["unavailable"], ["generic-503"]) == (field(answer, "x-postel-fault"), field(answer, "x-postel-rule"))
    assert ("unavailable", "generic-503") == (
        (error := json.loads(answer.body)["error"])["fault"],
        error["rule"],
    )
    assert "rule" not in json.loads(reply(policy=Policy(provenance=True), rule=None).body)["error"]


def test_an_upstreams_differing_request_id_moves_aside() -> None:
    assert ["theirs"] == field(reply(upstream=Headers.of([("X-Request-Id", "theirs")])), "x-upstream-request-id")
    assert [] == field(reply(upstream=Headers.of([("X-Request-Id", "mine-1")])), "x-upstream-request-id")


def test_what_a_client_can_use_is_kept_in_order_and_the_rest_dropped() -> None:
    upstream = Headers.of(
        [
            ("Server", "x"),
            ("Set-Cookie", "a"),
            ("WWW-Authenticate", "Bearer"),
            ("set-cookie", "b"),
            ("Access-Control-Allow-Origin", "*"),
            ("x-ratelimit-limit-tokens", "5"),
            ("X-Internal-Node", "10.0.0.1"),
        ]
    )

    assert (
        ("set-cookie", "a"),
        ("www-authenticate", "Bearer"),
        ("set-cookie", "b"),
        ("access-control-allow-origin", "*"),
        ("x-ratelimit-limit-tokens", "5"),
    ) == kept(upstream, Redactor())
    assert ("x-internal-node", "10.0.0.1") in kept(upstream, Redactor(), {"x-internal-node"})


@pytest.mark.parametrize(
    ("challenge", "left"),
    [
        (
            'Bearer realm="http://keycloak.internal:8080/realms/x", error="invalid_token"',
            f'Bearer realm="{ADDRESS}", error="invalid_token"',
        ),
        ('Basic realm="vllm:8000&#13;&#10;Set-Cookie: a"', f'Basic realm="{ADDRESS}  Set-Cookie: a"'),
        ('Bearer realm="https://auth.example.com/a?b=1&not=2"', 'Bearer realm="https://auth.example.com/a?b=1&not=2"'),
        ('Basic realm="Weights & Biases", charset="UTF-8"', 'Basic realm="Weights & Biases", charset="UTF-8"'),
        ("Negotiate YIIJvwYGKwYBBQUCoIIJszCCCa+gJDAiBgkqhkiC9xIBAgI=",) * 2,
        ('Digest realm="x", nonce="dcd98b7102dd2f0e8b11d0f600bFB0C093", qop="auth"',) * 2,
    ],
)
def test_a_challenge_keeps_its_scheme_and_loses_only_what_is_internal(challenge: str, left: str) -> None:
    for name in ("WWW-Authenticate", "proxy-authenticate"):
        assert [left] == field(reply(upstream=Headers.of([(name, challenge)])), name.lower())
    assert (("www-authenticate", left),) == kept(Headers.of([("www-authenticate", left)]), Redactor())


def test_what_is_no_challenge_is_kept_to_the_letter() -> None:
    fields = (
        ("set-cookie", "route=10.0.0.1; Domain=llm.internal; Path=/models/x"),
        ("x-amzn-requestid", "aB3" * 12),
        ("x-ratelimit-reset-requests", "localhost"),
    )

    assert fields == kept(Headers.of(fields), Redactor())


def test_the_operators_patterns_hold_for_challenges_too() -> None:
    challenge = Headers.of([("www-authenticate", 'Bearer realm="apollo"')])

    assert (("www-authenticate", 'Bearer realm="(redacted)"'),) == kept(challenge, Redactor(("apollo",)))


LIARS = [
    "Content-Length",
    "Content-Encoding",
    "Transfer-Encoding",
    "Connection",
    "Content-Type",
    "Retry-After",
    "X-Should-Retry",
    "X-Request-Id",
    "Cache-Control",
]


@pytest.mark.parametrize("name", LIARS)
def test_no_setting_brings_back_a_header_that_is_ours_to_say(name: str) -> None:
    answer = reply(upstream=Headers.of([(name, "theirs")]), policy=Policy(keep_headers={name.lower()}))

    assert "theirs" not in field(answer, name.lower())


@pytest.mark.parametrize("name", ["retry-after", "retry-after-ms"])
def test_a_kept_wait_never_contradicts_the_one_that_is_told(name: str) -> None:
    """A fault without a wait has none, and retry-after-ms would win over Retry-After in every SDK."""
    answer = reply(wait=None, upstream=Headers.of([(name, "7")]), policy=Policy(keep_headers={name}))

    assert [] == field(answer, name)


def test_the_fixed_reply_needs_no_rules() -> None:
    answer = fixed_reply("mine-1")

    assert 502 == answer.status
    assert {"message", "type", "param", "code"} == set(json.loads(answer.body)["error"])
    assert ["mine-1"] == field(answer, "x-request-id")
    assert b"" == fixed_reply("mine-1", "HEAD").body


def test_old_keys_stand_beside_the_error_and_behind_it() -> None:
    answer = reply(carried={"detail": "queue is full", "object": "error"})

    assert ["error", "detail", "object"] == list(json.loads(answer.body))
    assert [str(len(answer.body))] == field(answer, "content-length")
    assert list(KEYS[:4]) == list(json.loads(answer.body)["error"])


def test_anthropics_clients_get_their_type_first_and_the_request_in_body_and_header() -> None:
    answer = reply(dialect=ANTHROPIC, terms=replace(UNAVAILABLE, type="overloaded_error"))

    assert (
        b'{"type":"error","error":{"type":"overloaded_error","message":"The model server is not available."},'
        b'"request_id":"mine-1"}'
    ) == answer.body
    assert ["application/json"] == field(answer, "content-type")
    assert ["mine-1"] == field(answer, "request-id") == field(answer, "x-request-id")


def test_an_upstreams_request_id_of_anthropics_kind_moves_aside_too() -> None:
    theirs = Headers.of([("request-id", "req_theirs")])

    answer = reply(dialect=ANTHROPIC, upstream=theirs)
    assert (["mine-1"], ["req_theirs"]) == (field(answer, "request-id"), field(answer, "x-upstream-request-id"))
    assert ["req_theirs"] == field(reply(upstream=theirs), "request-id")


def test_a_problem_has_the_five_members_and_what_else_is_known() -> None:
    answer = reply(dialect=PROBLEM, param="model", details={"used": 3})

    assert ["application/problem+json"] == field(answer, "content-type")
    assert {
        "type": "about:blank",
        "title": "Service Unavailable",
        "status": 503,
        "detail": "The model server is not available.",
        "instance": "#mine-1",
        "param": "model",
        "code": "service_unavailable",
        "details": {"used": 3},
        "request_id": "mine-1",
        "retry_after": 10,
    } == json.loads(answer.body)
    assert "retry_after" not in json.loads(reply(dialect=PROBLEM, wait=None).body)


def test_a_problem_with_a_page_of_its_own_has_a_title_of_its_own() -> None:
    dialect = replace(PROBLEM, type_uri="https://docs.example.com/errors/{code}")
    document = json.loads(reply(dialect=dialect, message="node 7 is down").body)

    assert "https://docs.example.com/errors/service_unavailable" == document["type"]
    assert "The model server is not available" == document["title"]
    assert "node 7 is down" == document["detail"]


@pytest.mark.parametrize("dialect", [ANTHROPIC, PROBLEM])
def test_provenance_is_told_in_every_shape(dialect: Dialect) -> None:
    answer = reply(dialect=dialect, policy=Policy(provenance=True))
    document = json.loads(answer.body)
    told = document.get("error", document)

    assert ("unavailable", "generic-503") == (told["fault"], told["rule"])
    assert (["unavailable"], ["generic-503"]) == (field(answer, "x-postel-fault"), field(answer, "x-postel-rule"))


@pytest.mark.parametrize("dialect", [OPENAI, ANTHROPIC, PROBLEM])
def test_inside_a_stream_the_error_has_openais_keys_whatever_the_shape_of_answers(dialect: Dialect) -> None:
    terms = replace(UNAVAILABLE, stream_type="engine_error")

    assert {
        "message": "It stopped.",
        "type": "engine_error",
        "param": None,
        "code": "service_unavailable",
    } == reply(dialect=dialect, terms=terms, streamed="It stopped.").streamed
