import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.body import read
from postel.core.duration import is_usable, parse_time
from postel.core.evidence import Headers
from postel.core.jsontext import Json
from postel.core.retry import told_wait

NOW = parse_time("Fri, 20 Nov 2026 15:40:30 GMT") or 0.0


def wait(body: Json = None, headers: dict[str, str] | None = None, status: int | None = None) -> float | None:
    fields = Headers.of((headers or {}).items())
    data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return told_wait(fields, read(data, fields), NOW, status=status)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "30"}, 30.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "10s"}, 10.0),
        ({"retry-after": "Fri, 20 Nov 2026 15:41:00 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 15:41:00 GMT", "date": "Fri, 20 Nov 2026 15:40:50 GMT"}, 10.0),
        ({"retry-after": "Fri, 20 Nov 2026 15:41:00 GMT", "date": "never"}, 30.0),
        ({"retry-after": "7", "retry-after-ms": "6242"}, 6.242),
        ({"x-retry-in": "856.421ms"}, pytest.approx(0.856421)),  # Traefik
        ({"llm_provider-retry-after": "9"}, 9.0),  # LiteLLM
    ],
)
def test_headers_say_it_in_seconds_milliseconds_or_as_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds == wait(headers=headers)


@pytest.mark.parametrize(
    "value", ["0", "-1", "nan", "inf", "1e3", "soon", "", "99999999999", "Fri, 20 Nov 2026 15:40:00 GMT"]
)
def test_a_useless_value_counts_as_not_given_and_the_next_place_is_asked(value: str) -> None:
    assert wait(headers={"retry-after": value}) is None
    assert wait({"error": {"message": "m", "retry_after": 4}}, {"retry-after": value}) == 4.0


OPENROUTER: Json = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{NOW * 1000 + 9000:.0f}"}


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "26s"}]}}, 26.0),
        ({"error": {"message": "m", "details": [{" @type": "x", "retryDelay": {"seconds": 5}}]}}, 5.0),
        ({"detail": "m", "status": 429, "retry_after": 4}, 4.0),
        ({"error": {"message": "m", "retry_after_ms": "1500"}}, 1.5),
        ({"error": "loading", "estimated_time": 1809.18}, 1809.18),
        ({"error": {"message": "m", "details": {"resets_in_seconds": 3600}}}, 3600.0),
        ({"error": {"message": '{"error": {"message": "inner", "retry_after": 8}}'}}, 8.0),
        ({"error": {"message": "m", "metadata": {"headers": OPENROUTER}}}, 9.0),
        ({"message": "m", "retry_after": True}, None),
        ({"detail": [{"loc": ["body"], "msg": "m", "input": {"retry_after": 5}}]}, None),
    ],
)
def test_fields_of_the_body_say_it_but_never_the_clients_own(body: Json, seconds: float | None) -> None:
    assert seconds == wait(body)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-tokens": "1230", "x-ratelimit-reset-tokens": "57.54s"}, None),
        ({"ratelimit-remaining": "0", "ratelimit-reset": "34"}, 34.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 43:.0f}"}, 43.0),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{(NOW + 44) * 1000:.0f}"}, 44.0),
        ({"x-ai-ratelimit-remaining-a": "0", "x-ai-ratelimit-reset-a": "12"}, 12.0),
        (
            {"anthropic-ratelimit-tokens-remaining": "0", "anthropic-ratelimit-tokens-reset": "2026-11-20T15:41:00Z"},
            30.0,
        ),
        ({"x-ratelimit-remaining-tokens": "-1", "x-ratelimit-reset-tokens": "0"}, None),
        ({"ratelimit": '"default";r=0;t=30'}, 30.0),
        ({"ratelimit": "limit=9, remaining=0, reset=31"}, 31.0),
        ({"ratelimit": '"default";r=5;t=30'}, None),
    ],
)
def test_only_an_exhausted_bucket_says_when_to_come_back(headers: dict[str, str], seconds: float | None) -> None:
    assert seconds == wait(headers=headers)


def test_of_several_exhausted_buckets_all_have_to_come_back() -> None:
    requests = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "2s"}
    tokens = {"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "9s"}

    assert wait(headers=requests | tokens) == 9.0


def test_a_bucket_that_hides_what_remains_counts_if_the_words_name_it() -> None:
    cerebras = {"x-ratelimit-reset-tokens-minute": "11.382", "x-ratelimit-reset-requests-day": "33011.38"}

    assert wait({"message": "Tokens per minute limit exceeded"}, cerebras) == 11.382
    assert wait({"message": "Something else exceeded"}, cerebras) is None


def test_a_lone_reset_counts_if_a_limit_was_hit_and_not_on_a_failure() -> None:
    azure = {"x-rate-limit-reset-tokens": "55"}

    assert wait(headers=azure, status=429) == 55.0
    assert wait({"message": "Rate limit is exceeded"}, azure) == 55.0
    assert wait(headers=azure, status=500) is None
    assert wait({"message": "CUDA error"}, azure, 500) is None


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        ("Rate limit reached. Please try again in 7.8s. Visit https://x", 7.8),
        ("Please try again in 6m0s. Visit", 360.0),
        ("Please try again in 20ms", 0.02),
        ("Please retry after 45 seconds.", 45.0),
        ("Please retry in 38.804097346s.", 38.804097346),
        ("please try again after 1 seconds", 1.0),
        ("Please try again after '1' seconds after additional tokens are available.", 1.0),
        ("Try again in 20 seconds.", 20.0),
        ("Quota will be replenished in 04:00:00.", 14400.0),
        ("Request was throttled. Expected available in 60 seconds.", 60.0),
        ("Your rate limit resets in ~5s.", 5.0),
        ("Please try again in 1 hour 20 minutes.", 4800.0),
        ("load is in cooldown after a recent failure; retry after 10s", 10.0),
        ("wait 2 minutes before the next request", 120.0),
        ("Retry-After: 30", 30.0),
        ("429 quota [retry_delay {\n  seconds: 26\n}\n]", 26.0),
        ("retry after 0 seconds, or retry after 3 seconds", 3.0),
        ("model x not found (cached, retry after 10.0s)", None),
        ("Request 7 timed out after 30.0s.", None),
        ("unable to get response in less than 60 second(s)", None),
        ("created within the last 5 minutes, please wait a moment and try again", None),
        ("Please try again later.", None),
        ("try again in 5 business days", None),
        ("try again in 99999999 hours", None),
    ],
)
def test_prose_says_it_where_it_is_advice(words: str, seconds: float | None) -> None:
    assert seconds == wait(words)
    assert seconds == wait({"error": {"message": words}})


def test_a_page_is_read_below_its_heading_too() -> None:
    assert wait("<html><h1>Error</h1><p>a</p><p>b</p><p>c</p><p>Please try again in 30 seconds.</p></html>") == 30.0


def test_the_order_is_headers_fields_buckets_words() -> None:
    body: Json = {"error": {"message": "try again in 4s", "retry_after": 2}}
    silent: Json = {"error": {"message": "try again in 4s"}}
    bucket = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "3"}

    assert wait(body, {"retry-after": "1", **bucket}) == 1.0
    assert wait(body, bucket) == 2.0
    assert wait(silent, bucket) == 3.0
    assert wait(silent) == 4.0


NAMES = [
    "Retry-After",
    "retry-after-ms",
    "Date",
    "x-ratelimit-reset",
    "x-ratelimit-remaining",
    "ratelimit",
    "x-retry-in",
]
VALUES = st.text(alphabet="0123456789.:,-smhTZ =;rt", max_size=30) | st.sampled_from(["Fri, 20 Nov 2026 15:41:00 GMT"])


@given(
    st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=6),
    st.text(alphabet="retryafin wt=:{}\"'019.s", max_size=80),
)
def test_whatever_it_finds_is_a_wait_that_a_client_can_keep(fields: list[tuple[str, str]], words: str) -> None:
    headers = Headers.of(fields)
    seconds = told_wait(headers, read(words.encode(), headers), NOW, status=429)

    assert seconds is None or is_usable(seconds)
