import pytest

from postel.core import validation
from postel.core.found import Found
from postel.core.jsontext import Json

MISSING: dict[str, Json] = {
    "type": "missing",
    "loc": ["body", "messages"],
    "msg": "Field required",
    "input": {"secret": "prompt"},
}


@pytest.mark.parametrize("items", [[], ["x"], [{"msg": "x"}], [{"loc": []}], [None, MISSING]])
def test_only_a_list_of_places_and_messages_is_one_of_pydantics(items: list[Json]) -> None:
    assert not validation.is_list(items)


def test_an_entry_tells_its_field_and_never_its_input() -> None:
    assert validation.is_list([MISSING])
    assert Found("messages: Field required", "missing", None, "messages", MISSING) == validation.read([MISSING])


def test_bad_json_has_a_cause_and_no_field() -> None:
    entry: Json = {
        "type": "json_invalid",
        "loc": ["body", 15],
        "msg": "JSON decode error",
        "ctx": {"error": "Expecting property name enclosed in double quotes"},
    }
    found = validation.read([entry])

    assert found.message == "JSON decode error: Expecting property name enclosed in double quotes"
    assert found.type == "json_invalid"
    assert found.param is None


def test_of_several_entries_four_are_told_each_once_and_the_first_field_is_the_param() -> None:
    whole: Json = {"type": "value_error", "loc": ["body"], "msg": "Value error"}
    others: list[Json] = [{"type": "missing", "loc": ["body", f"f{n}"], "msg": "Field required"} for n in range(9)]
    found = validation.read([whole, whole, *others])

    assert found.message == "Value error; f0: Field required; f1: Field required"
    assert ("value_error", "f0") == (found.type, found.param)


def test_entries_without_words_say_nothing() -> None:
    assert Found() == validation.read([{"loc": ["body"], "msg": None}, {"loc": [], "msg": ""}, 7])
