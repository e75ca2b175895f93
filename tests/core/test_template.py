import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.template import Found, Group, Header, Placeholder, Scalar, Words, parse, shown, text_of


def filled(source: str, **values: Scalar) -> Scalar | None:
    def look_up(placeholder: Placeholder) -> Scalar | None:
        return values.get(str(placeholder).replace(".", "_"))

    return parse(source).fill(look_up)


def test_each_placeholder_is_known_by_its_form() -> None:
    template = parse("{limit}, {json.error.code}, {headers.X-Kind}, {message}")

    forms = [(type(placeholder), str(placeholder)) for placeholder in template.placeholders]
    assert [(Group, "limit"), (Found, "json.error.code"), (Header, "headers.X-Kind"), (Words, "message")] == forms


def test_values_stand_where_their_placeholders_stood() -> None:
    assert "4096 tokens at most, not 5000." == filled("{limit} tokens at most, not {got}.", limit="4096", got="5000")


def test_a_double_brace_is_a_brace_and_a_closing_one_is_itself() -> None:
    assert '{"a": 1}' == filled('{{"a": {n}}', n=1)


def test_braces_and_quotes_inside_an_expression_do_not_end_it() -> None:
    (placeholder,) = parse("x{json.{a: b, c: '}'}}y").placeholders

    assert "json.{a: b, c: '}'}" == str(placeholder)


def test_one_missing_value_takes_the_whole_text_with_it() -> None:
    assert filled("{limit} of {got}", limit="4096") is None


@pytest.mark.parametrize("value", [7, 0.5, True, "text"])
def test_a_single_placeholder_keeps_the_kind_of_its_value(value: Scalar) -> None:
    result = filled("{n}", n=value)

    assert (type(value), value) == (type(result), result)


@pytest.mark.parametrize(("value", "text"), [(7, "7s"), (7.0, "7s"), (0.5, "0.5s"), (True, "trues"), ("7", "7s")])
def test_inside_a_text_a_value_is_written_as_json_does(value: Scalar, text: str) -> None:
    assert text == filled("{n}s", n=value)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("a {b", "no closing brace"),
        ("{}", "no placeholder"),
        ("{two words}", "no placeholder"),
        ("{headers.}", "no placeholder"),
        ("{json.}", "cannot be empty"),
        ("{json.a..b}", "column 2"),
        ("{json.'}", "Unclosed '"),
    ],
)
def test_a_wrong_template_is_refused_with_a_reason(source: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        parse(source)

    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (429, "429"),
        (429.0, "429"),
        ("429", "429"),
        (1.5, "1.5"),
        (True, None),
        (None, None),
        ([], None),
        (math.nan, None),
    ],
)
def test_strings_and_numbers_have_a_text_and_nothing_else_has(value: object, text: str | None) -> None:
    assert text == text_of(value)


@given(st.integers() | st.floats() | st.just(10**5000))
def test_the_text_of_a_number_never_raises(value: float) -> None:
    text_of(value)


@given(st.text())
def test_a_text_without_braces_fills_to_itself(text: str) -> None:
    assert text.replace("{", "") == filled(text.replace("{", ""))


@given(st.text(alphabet="{}ab.'\"`json ", max_size=20))
def test_compiling_any_text_works_or_is_refused(source: str) -> None:
    try:
        template = parse(source)
    except ValueError:
        return
    assert shown(template.fill(lambda _: "x")) is not None
