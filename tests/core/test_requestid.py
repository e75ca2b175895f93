import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.requestid import RequestId, choose

FRESH = "0b0f4f4e-8a53-4f5b-9d7b-0d6f1a4d5c11"


@pytest.mark.parametrize("sent", ["a", "req-1/2:3~", "x" * 128, FRESH.upper(), "!#$%&'()*+,-./"])
def test_a_usable_id_is_the_clients_own(sent: str) -> None:
    assert RequestId(sent) == choose([sent], FRESH)


@pytest.mark.parametrize("sent", ["x" * 129, "two words", 'quo"te', "caf\xe9", "a\nb", "a\x7f", "\x00", " "])
def test_an_unusable_id_is_set_aside_for_a_fresh_one(sent: str) -> None:
    assert RequestId(FRESH, sent) == choose([sent], FRESH)


@pytest.mark.parametrize("sent", [[], [""], ["", ""]])
def test_without_an_id_there_is_nothing_to_set_aside(sent: list[str]) -> None:
    assert RequestId(FRESH) == choose(sent, FRESH)


def test_equal_values_are_one_and_different_ones_name_nothing() -> None:
    assert RequestId("a") == choose(["a", "a"], FRESH)
    assert RequestId("a") == choose(["", "a"], FRESH)
    assert RequestId(FRESH, "a, b") == choose(["a", "b", "a"], FRESH)


@pytest.mark.parametrize(
    ("value", "policy", "forwarded"),
    [
        ("mine", "always", "mine"),
        ("mine", "uuid", None),
        ("mine", "never", None),
        (FRESH, "uuid", FRESH),
        (FRESH.upper(), "uuid", FRESH.upper()),
        (FRESH + "0", "uuid", None),
        (FRESH, "never", None),
    ],
)
def test_the_policy_says_which_ids_the_upstream_gets(value: str, policy: str, forwarded: str | None) -> None:
    assert forwarded == RequestId(value).forwarded(policy)  # type: ignore[arg-type]


@given(st.lists(st.text(), max_size=3))
def test_the_chosen_id_is_always_safe_in_a_header(sent: list[str]) -> None:
    value = choose(sent, FRESH).value

    assert 1 <= len(value) <= 128
    assert all("!" <= letter <= "~" and letter != '"' for letter in value)
