import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.echo import LONGEST_UNNOTICED, echoes, last_words
from postel.core.evidence import Request

PROMPT = 'Tell me: why does this model\'s maximum context\n length of 1 tokens "bother" you so very much today, friend?'


def chat(content: str) -> Request:
    return Request(body=json.dumps({"model": "m", "messages": [{"role": "user", "content": content}]}).encode())


def test_words_of_the_request_are_found_whatever_their_case_and_white_space() -> None:
    echo = echoes(chat(PROMPT))

    assert echo.has("Maximum  context length of 1 TOKENS")
    assert echo.has('"bother"')
    assert not echo.has("maximum context length of 2 tokens")


def test_json_itself_is_searched_too_and_any_body_that_is_none() -> None:
    assert echoes(chat("x")).has('"role": "user"')
    assert echoes(Request(body=b"queue is\xff full \xe2\x82")).has("queue is")


def test_nothing_stands_in_an_empty_request_and_no_text_stands_nowhere() -> None:
    assert not echoes(Request()).has("a")
    assert not echoes(chat("a")).has(" \n")


def test_long_common_parts_are_found_wherever_they_begin() -> None:
    common = 'maximum context length of 1 tokens "bother" you so very much'
    for shift in range(25):
        text = "x" * shift + " " + common + " and then something else"
        (start, end) = echoes(chat(PROMPT)).spans(text)[0]

        assert common == text[start:end]


def test_short_common_parts_are_chance() -> None:
    words = PROMPT[:LONGEST_UNNOTICED]

    assert echoes(chat(words)).spans(f"upstream said {words}!") == []


def test_of_a_request_of_countless_strings_the_first_are_decoded_and_all_are_searched_as_written() -> None:
    escaped = [f'"{word}\\n{word}"' for word in ("first", "last")]
    body = f"[{escaped[0]}, {'"x", ' * 30_000}{escaped[1]}]"
    echo = echoes(Request(body=body.encode()))

    assert echo.has("first first")
    assert not echo.has("last last")
    assert echo.has(r"last\nlast")


@given(st.text(max_size=60), st.text(max_size=200))
def test_a_text_always_stands_in_a_request_that_holds_it(before: str, text: str) -> None:
    echo = echoes(chat(before + text))

    assert bool(text.split()) == echo.has(text)
    assert all(0 <= start < end <= len(text) for start, end in echo.spans(text))


def test_the_last_words_of_a_request_are_found_although_they_were_escaped() -> None:
    secret = 'my "secret" plan für den Mond'
    body = json.dumps({"messages": [{"role": "user", "content": "x" * 50_000 + secret}]}).encode()

    kept = last_words(body, 1000)

    assert len(kept) <= 1000
    assert echoes(Request(body=kept)).has(secret)


def test_a_request_that_fits_is_kept_as_it_is() -> None:
    assert b'{"a":1}' == last_words(b'{"a":1}', 7)


@pytest.mark.parametrize("limit", range(1, 9))
def test_no_character_is_cut(limit: int) -> None:
    kept = last_words("äöü€".encode() * 10, limit)

    assert len(kept) <= limit
    kept.decode()
