import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core import regex


def test_case_is_ignored_unless_the_pattern_or_the_caller_says_otherwise() -> None:
    assert regex.compile("queue is full").search("The Queue is FULL")
    assert not regex.compile("(?-i)queue").search("QUEUE")
    assert not regex.compile("queue", ignore_case=False).search("QUEUE")


def test_the_ends_are_those_of_the_text_and_a_dot_stops_at_a_line_end() -> None:
    assert not regex.compile("^b").search("a\nb")
    assert regex.compile("(?m)^b").search("a\nb")
    assert not regex.compile("a.b").search("a\nb")
    assert regex.compile("(?s)a.b").search("a\nb")
    assert regex.compile("^$").search("")
    assert not regex.compile("a$").search("a\n")


def test_groups_have_names_and_offsets_are_characters() -> None:
    pattern = regex.compile(r"(?P<limit>\d+) tokens(?P<rest>!)?")
    match = pattern.search("é€😀 4096 tokens")

    assert ("limit", "rest") == pattern.groups
    assert match is not None
    assert {"limit": "4096", "rest": None} == match.groupdict()
    assert (4, 15) == (match.start(), match.end())


@pytest.mark.parametrize(
    ("source", "complaint"),
    [("(a", r"missing \)"), ("(?=a)", "invalid perl operator"), ("a{2000}", "repetition"), ("\ud800", "surrogate")],
)
def test_a_bad_pattern_is_a_value_error_in_re2s_words(
    source: str, complaint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match=complaint):
        regex.compile(source)
    assert ("", "") == capfd.readouterr()


def test_a_replacement_stands_for_itself() -> None:
    assert r"a\1 a\1" == regex.compile("x(y)").replace("axy axy", r"\1")
    assert "-a-b-" == regex.compile("").replace("ab", "-")
    assert "<xy> b" == regex.compile("xy").replace("xy b", lambda match: f"<{match.group()}>")


@given(st.text())
def test_no_text_makes_a_search_raise_and_what_is_replaced_can_be_written(text: str) -> None:
    text += "\ud800"
    replaced = regex.compile("z{3}|\ufffe").replace(text, "")

    assert replaced.encode()
    assert all(match.end() <= len(text) for match in regex.compile(r"\pL|\s").finditer(text))


def test_a_prefilter_names_the_patterns_that_may_be_found() -> None:
    sources = ["queue is full", "(?-i)Worker", "^$", r"\d+ tokens", "out of memory|oom"]
    prefilter = regex.Prefilter([regex.compile(source) for source in sources])

    assert {0, 2} == set(prefilter.possible("the QUEUE IS FULL"))
    assert {1, 2, 3} == set(prefilter.possible("Worker: 12 tokens"))
    assert {2, 4} == set(prefilter.possible("OOM"))


def test_a_pattern_is_found_as_before_once_a_prefilter_has_it_and_after_that_is_gone() -> None:
    pattern = regex.compile(r"(?P<limit>\d+) tokens")
    regex.Prefilter([pattern])
    match = pattern.search("4096 TOKENS")

    assert match is not None
    assert {"limit": "4096"} == match.groupdict()


def test_a_prefilter_whose_pass_fails_leaves_nothing_out(monkeypatch: pytest.MonkeyPatch) -> None:
    prefilter = regex.Prefilter([regex.compile("queue"), regex.compile("worker")])

    class Exhausted:
        def Match(self, text: str, potential: bool) -> None:  # noqa: N802 - RE2's name
            """What RE2 says when it runs out of memory: nothing was found."""

    monkeypatch.setattr(prefilter, "_filter", Exhausted())

    assert [0, 1] == list(prefilter.possible("the queue"))


def test_a_prefilter_of_nothing_finds_nothing() -> None:
    assert [] == list(regex.Prefilter([]).possible("anything"))


SOURCES = st.sampled_from(
    [
        "a",
        "ab+c",
        "^a",
        "a$",
        "(?-i)A",
        "a|b",
        "[ab]c",
        "(a.{0,3}b)",
        "ß",
        "ſ",
        "k",
        "(?s)a.b",
        "^$",
        "x*",
        "é",
        r"\bab\b",
    ]
)


@given(st.lists(SOURCES, max_size=6), st.text(alphabet="aAbBcCkK\u212aſsSßẞéÉ .\n\0\ud800", max_size=12))
def test_a_prefilter_never_leaves_out_what_is_found(sources: list[str], text: str) -> None:
    patterns = [regex.compile(source) for source in sources]
    found = {at for at, pattern in enumerate(patterns) if pattern.search(text)}

    assert found <= set(regex.Prefilter(patterns).possible(text))
