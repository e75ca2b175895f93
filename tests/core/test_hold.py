import pytest

from postel.core.evidence import BODY_LIMIT
from postel.core.hold import is_held


@pytest.mark.parametrize(
    "media_type", ["application/json", "text/html", "text/plain", "application/problem+json", None]
)
def test_a_healthy_answer_that_could_carry_an_error_is_held(media_type: str | None) -> None:
    assert is_held("POST", 200, media_type, None)
    assert is_held("POST", 201, media_type, BODY_LIMIT)


@pytest.mark.parametrize(
    "media_type",
    ["audio/mpeg", "image/png", "video/mp4", "application/octet-stream", "multipart/form-data", "text/event-stream"],
)
def test_media_and_streams_of_events_are_not_held(media_type: str) -> None:
    assert not is_held("POST", 200, media_type, 10)


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503, 599])
@pytest.mark.parametrize("media_type", ["audio/mpeg", "text/event-stream", "application/json", None])
def test_an_error_is_held_whatever_it_calls_itself(status: int, media_type: str | None) -> None:
    assert is_held("POST", status, media_type, None)
    assert is_held("HEAD", status, media_type, 10 * BODY_LIMIT)


@pytest.mark.parametrize("status", [101, 204, 205, 301, 302, 304, 307])
def test_what_has_no_body_or_is_none_of_our_business_is_not_held(status: int) -> None:
    assert not is_held("POST", status, "application/json", None)


def test_what_announces_more_than_can_be_held_is_not_begun() -> None:
    assert not is_held("POST", 200, "application/json", BODY_LIMIT + 1)
    assert not is_held("HEAD", 200, "application/json", 10)
