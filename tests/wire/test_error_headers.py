"""The headers of a rewritten error: how long to wait, whether to retry, what stays of the upstream's."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from postel.misbehave import answer
from tests.wire.harness import Answer, post, rig, says, wired

CHAT = post()
BUSY, LIMIT, QUOTA = "503 Service Unavailable", "429 Too Many Requests", "402 Payment Required"


async def error(status: str, *headers: str, body: str = "{}", **settings: Any) -> Answer:
    """What a client gets of one upstream error with these headers."""
    async with rig(says(answer(status, body, "application/json", *headers)), **settings) as wire:
        got = await wire.ask(CHAT)
    assert got.error
    return got


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (["Retry-After: 7"], "7"),
        (["retry-after: 1.2"], "2"),
        (["Retry-After-Ms: 1500"], "2"),
        (["retry-after-ms: 20"], "1"),
        (["Retry-After: 30", "retry-after-ms: 2500"], "3"),
        (["retry-after-ms: junk", "Retry-After: 9"], "9"),
        (["x-ratelimit-remaining-requests: 0", "x-ratelimit-reset-requests: 6m0s"], "360"),
        (["x-ratelimit-remaining-tokens: 0", "x-ratelimit-reset-tokens: 20ms"], "1"),
        (["Retry-After: 59"], "59"),
        (["Retry-After: 3600"], "3600"),
        (["Date: Fri, 20 Nov 2026 15:40:30 GMT", "Retry-After: Fri, 20 Nov 2026 15:41:00 GMT"], "30"),
    ],
)
@wired
async def test_the_upstreams_wait_is_told_in_whole_seconds(headers: list[str], seconds: str) -> None:
    got = await error(LIMIT, *headers)

    assert [seconds] == got.get_all("retry-after")
    assert got.get("retry-after-ms") is None
    assert ("true" if int(seconds) <= 59 else "false") == got.get("x-should-retry")


@wired
async def test_a_date_without_a_date_header_is_held_against_the_clock() -> None:
    got = await error(LIMIT, f"Retry-After: {format_datetime(datetime.now(UTC) + timedelta(seconds=40), usegmt=True)}")

    assert 37 <= int(got.get("retry-after") or 0) <= 41


@pytest.mark.parametrize(
    "header",
    [
        "Retry-After: 0",
        "Retry-After: -5",
        "Retry-After: soon",
        "Retry-After: nan",
        "Retry-After: inf",
        "Retry-After: 99999999999",
        "Retry-After: Mon, 01 Jan 1990 00:00:00 GMT",
        "retry-after-ms: 0",
        "x-ratelimit-remaining-requests: 3\r\nx-ratelimit-reset-requests: 6m0s",
        "X-Nothing: 1",
    ],
)
@wired
async def test_an_unusable_wait_is_the_faults_default_with_a_little_jitter(header: str) -> None:
    assert 5 <= int((await error(LIMIT, header)).get("retry-after") or 0) <= 7
    assert 10 <= int((await error(BUSY, header)).get("retry-after") or 0) <= 13


@pytest.mark.parametrize("told", ["Retry-After: 61", "retry-after-ms: 60000", "Retry-After: 59.1"])
@wired
async def test_a_wait_that_no_client_obeys_is_told_truly_and_not_to_be_retried(told: str) -> None:
    got = await error(LIMIT, told)

    assert int(got.get("retry-after") or 0) >= 60
    assert "false" == got.get("x-should-retry")


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "422 X"])
@wired
async def test_a_fault_that_no_retry_cures_has_no_wait_whatever_the_upstream_says(status: str) -> None:
    got = await error(status, "Retry-After: 5", "x-should-retry: true", "retry-after-ms: 10")

    assert (None, None, ["false"]) == (
        got.get("retry-after"),
        got.get("retry-after-ms"),
        got.get_all("x-should-retry"),
    )


@wired
async def test_a_retryable_fault_without_a_default_names_no_wait() -> None:
    got = await error("500 Internal Server Error", "x-should-retry: false")

    assert (None, ["true"]) == (got.get("retry-after"), got.get_all("x-should-retry"))


@wired
async def test_the_wait_may_stand_in_the_body() -> None:
    words = await error(LIMIT, body='{"error":{"message":"Rate limit reached. Please try again in 6.2s."}}')
    field = await error(LIMIT, body='{"error":{"message":"slow down","retry_after":11}}')

    assert ("7", "11") == (words.get("retry-after"), field.get("retry-after"))


KEPT = [
    "WWW-Authenticate: Bearer realm=x",
    "Allow: POST",
    "Access-Control-Allow-Origin: *",
    "Vary: Origin",
    "Date: Fri, 20 Nov 2026 15:40:30 GMT",
    "Set-Cookie: a=1",
    "Set-Cookie: b=2",
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    "X-RateLimit-Remaining-Requests: 3",
    "ratelimit-limit: 10",
    "anthropic-ratelimit-tokens-remaining: 4",
    "apim-request-id: 5",
    "CF-Ray: 6",
    "request-id: req_7",
]
DROPPED = [
    "Server: engine/1.2",
    "X-Powered-By: Express",
    "Via: 1.1 internal-proxy.svc.cluster.local",
    "Cache-Control: max-age=600",
    "ETag: abc",
    "Last-Modified: Fri, 20 Nov 2026 15:40:30 GMT",
    "Expires: Fri, 20 Nov 2026 15:40:30 GMT",
    "X-Debug-Stack: /app/server.py",
    "Location: http://10.0.0.1/",
    "Content-Language: de",
    "Content-Disposition: attachment",
    "Content-Security-Policy: none",
    "Keep-Alive: timeout=5",
    "Link: </x>",
]


@wired
async def test_only_what_a_client_can_use_stays_of_the_upstreams_headers() -> None:
    got = await error("429 Too Many Requests", *KEPT, *DROPPED)

    fields = {(name.lower(), value) for name, value in got.headers}
    for line in KEPT:
        name, _, value = line.partition(": ")
        assert (name.lower(), value) in fields
    names = {name.lower() for name, _ in got.headers}
    assert {"cache-control"} == names & {line.partition(":")[0].lower() for line in DROPPED}
    assert ["no-store"] == got.get_all("cache-control")
    assert ["application/json"] == got.get_all("content-type")
    assert ["a=1", "b=2"] == got.get_all("set-cookie")


@wired
async def test_more_headers_can_be_kept_by_name() -> None:
    got = await error(BUSY, "X-Cluster: blue", "X-Other: 1", keep_headers="X-CLUSTER, server")

    assert ("blue", None) == (got.get("x-cluster"), got.get("x-other"))


@wired
async def test_no_setting_keeps_a_header_that_would_lie() -> None:
    got = await error(BUSY, "Content-Encoding: identity", "retry-after-ms: 1", keep_headers="content-encoding,etag")

    assert got.get("content-encoding") is None


@wired
async def test_an_ordinary_reason_phrase_is_sent_for_each_status() -> None:
    for status, reason in (("503 Weird Words", "Service Unavailable"), ("429 ", "Too Many Requests")):
        assert reason == (await error(status)).reason


@wired
async def test_provenance_is_off_by_default_and_on_when_asked() -> None:
    off = await error(BUSY, provenance=False)
    on = await error(BUSY, provenance=True)

    assert ["message", "type", "param", "code"] == list(off.error)
    assert [] == [name for name, _ in off.headers if name.lower().startswith("x-postel")]
    assert ("unavailable", "unavailable") == (on.get("x-postel-fault"), on.error["fault"])
    assert on.get("x-postel-rule") == on.error["rule"]


PACK = """\
version: 1
pack: acme
rules:
  - id: acme-slots
    when: {status: 503, json: {error.tenant: {present: true}}}
    then: {fault: overloaded, message: 'No slots for {json.error.tenant}.'}
"""


@wired
async def test_what_a_redact_expression_matches_reaches_nobody(tmp_path: Path) -> None:
    secret = '{"error":{"message":"tenant blue-42 is out of slots","tenant":"tenant blue-42"}}'
    got = await error(BUSY, body=secret, redact=["blue-\\d+"])
    assert "blue-42" not in got.error["message"]

    pack = tmp_path / "acme.yaml"
    pack.write_text(PACK, "utf-8")
    got = await error(BUSY, body=secret, redact=["blue-\\d+"], rules=[str(pack)])
    assert (503, "overloaded") == got.told
    assert b"blue-42" not in got.body
