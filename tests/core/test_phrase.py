import pytest

from postel.core.phrase import is_phrase


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "Bad Gateway",
        "502 Bad Gateway",
        "404: Not Found",
        "NOT FOUND.",
        "Bad Request (400)",
        "Error 500",
        "HTTP 503 Service Unavailable",
        "Gateway Time-out",
        "Authorization Required",
        "Internal server error",
        "error",
        "504",
    ],
)
def test_a_text_that_only_restates_a_status_says_nothing(text: str) -> None:
    assert is_phrase(text)


@pytest.mark.parametrize(
    "text",
    ["queue is full", "Not Found: model llama9", "slow down", "error code: 1015", "Unauthorized key", "400 tokens"],
)
def test_anything_more_is_said(text: str) -> None:
    assert not is_phrase(text)
