import pytest

from postel.core.evidence import BODY_LIMIT, Cause, End, Evidence, Headers, Phase, Request

HEADERS = Headers.of([("X-A", "1"), ("Content-Type", "Application/JSON; charset=utf-8"), ("x-a", "2"), ("X-Empty", "")])


def test_names_are_compared_without_case_and_values_joined_in_order() -> None:
    assert ["1", "2"] == HEADERS.get_all("x-A")
    assert "1, 2" == HEADERS.get("X-a")
    assert "" == HEADERS.get("x-empty")
    assert None is HEADERS.get("x-b")


def test_names_and_order_are_kept_as_received() -> None:
    assert ("X-A", "Content-Type", "x-a", "X-Empty") == tuple(name for name, _ in HEADERS.fields)


@pytest.mark.parametrize(
    ("value", "media_type"),
    [
        ("Application/JSON; charset=utf-8", "application/json"),
        ("text/html", "text/html"),
        (" text/plain ;x", "text/plain"),
        ("text/plain, text/html", "text/plain"),
        ("", None),
        (";", None),
    ],
)
def test_the_media_type_is_lower_case_and_bare(value: str, media_type: str | None) -> None:
    assert media_type == Headers.of([("content-type", value)]).content_type


def test_without_a_content_type_there_is_none() -> None:
    assert None is Headers().content_type


def test_the_words_of_the_rule_grammar_are_the_values() -> None:
    assert {"response", "event", "end", "transport"} == set(Phase)
    assert {"closed", "broken", "stalled", "expired"} == set(End)
    causes = """
        refused unreachable dns tls connect_timeout head_timeout closed bad_head bad_framing head_too_large
        body_cut body_timeout answer_too_large
        bad_request connect_method request_head_too_large request_too_large request_timeout
        busy draining
    """
    assert set(causes.split()) == set(Cause)


def test_evidence_is_a_value() -> None:
    assert Evidence(Phase.RESPONSE, status=500) == Evidence(Phase.RESPONSE, Request(), 500)
    assert 64 * 1024 == BODY_LIMIT
