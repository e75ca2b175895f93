import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core import regex
from postel.core.addition import Addition, Place, amended
from postel.core.message import LIMIT

SENTENCE = Addition((regex.compile("maximum length"),), "It is over the maximum length.")
TAG = Addition((regex.compile("(?-i)too_long"),), "(too_long)", "answer")
WINDOW = Addition((regex.compile("window"),), "The window is too small.", "stream")
ALL = (SENTENCE, WINDOW, TAG)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("No room", "No room. It is over the maximum length. (too_long)"),
        ("No room.", "No room. It is over the maximum length. (too_long)"),
        ("No room!", "No room! It is over the maximum length. (too_long)"),
        ('He said "no."', 'He said "no." It is over the maximum length. (too_long)'),
        ("No room (at all)", "No room (at all). It is over the maximum length. (too_long)"),
        ("No room...", "No room... It is over the maximum length. (too_long)"),
        ("The Maximum Length is 5", "The Maximum Length is 5 (too_long)"),
        ("The maximum length is 5.", "The maximum length is 5. (too_long)"),
        ("TOO_LONG", "TOO_LONG. It is over the maximum length. (too_long)"),
        ("maximum length, too_long", "maximum length, too_long"),
    ],
)
def test_what_is_missing_is_added_as_people_would_write_it(words: str, told: str) -> None:
    assert told == amended(words, ALL, "answer")


def test_an_addition_for_one_place_is_made_in_that_place_only() -> None:
    assert "No. It is over the maximum length. The window is too small." == amended("No", ALL, "stream")
    assert "No. It is over the maximum length. (too_long)" == amended("No", ALL, "answer")


def test_without_additions_the_words_are_as_they_were() -> None:
    assert "x" * LIMIT == amended("x" * LIMIT, (), "answer")


def test_long_words_make_room_for_what_is_added() -> None:
    told = amended("word " * 100, ALL, "answer")

    assert len(told) <= LIMIT
    assert told.endswith("word... It is over the maximum length. (too_long)")


def test_what_the_cut_took_away_is_added_as_well() -> None:
    told = amended("word " * 95 + "maximum length", ALL, "answer")

    assert len(told) <= LIMIT
    assert told.endswith("word... It is over the maximum length. (too_long)")


WORDS = st.builds(lambda text, times: (text * times)[:LIMIT], st.text("ab .!)(", max_size=12), st.integers(1, 60))


@given(WORDS, st.sampled_from(["answer", "stream"]))
def test_what_was_added_once_is_not_added_again(words: str, place: Place) -> None:
    once = amended(words, ALL, place)

    assert len(once) <= LIMIT
    assert once == amended(once, ALL, place)
