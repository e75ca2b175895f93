from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from postel.rulefile.finding import Mark
from postel.rulefile.yaml import Map, Seq, Unreadable, copied, parse


def read(text: str) -> Any:
    value, problems = parse(text)
    assert [] == problems
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2026-01-01", "2026-01-01"),
        ("1_000", "1_000"),
        ("2.4.1", "2.4.1"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("Null", None),
        ("012", 12),
        ("0o14", 12),
        ("0x1F", 31),
        ("-7", -7),
        ("0.10", 0.1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'1'", "1"),
        ('"\\x41"', "A"),
    ],
)
def test_plain_scalars_are_read_as_yaml_1_2_does(text: str, value: object) -> None:
    result = read(f"a: {text}")["a"]

    assert (type(value), value) == (type(result), result)


def test_keys_are_texts_as_written() -> None:
    assert {"503": 1, "true": 2, "0.10": 3} == read("{503: 1, true: 2, 0.10: 3}")


def test_every_key_value_and_item_has_its_place() -> None:
    tree = read("a: 1\nb:\n  - x\n  - {c: ü, d: [1, 2]}\n")

    assert Mark(2, 1) == tree.key_marks["b"]
    assert Mark(3, 3) == tree.value_marks["b"]
    assert [Mark(3, 5), Mark(4, 5)] == tree["b"].marks
    assert (Mark(4, 12), Mark(4, 15)) == (tree["b"][1].key_marks["d"], tree["b"][1].value_marks["d"])


@pytest.mark.parametrize(
    ("text", "mark", "says"),
    [
        ("a: 1\na: 2", Mark(2, 1), "`a` is given twice"),
        ("a: &x 1", Mark(1, 4), "anchor `&x`"),
        ("a: &x 1\nb: *x", Mark(2, 4), "alias `*x`"),
        ("a: !!int '1'", Mark(1, 4), "tag `tag:yaml.org,2002:int`"),
        ("a: {<<: {b: 1}}", Mark(1, 5), "merge key"),
        ("[a]: 1", Mark(1, 1), "a key that is no text"),
        ("a: .nan", Mark(1, 4), "no number that JSON has"),
        ("a: 1\n---\nb: 1", Mark(2, 1), "a second document"),
        ("a: " + "9" * 5000, Mark(1, 4), "no number that JSON has"),
    ],
)
def test_what_the_grammar_does_not_have_is_a_problem_with_its_place(text: str, mark: Mark, says: str) -> None:
    _, problems = parse(text)

    (found, problem) = problems[-1]
    assert mark == found
    assert says in problem.text
    assert problem.advice


@pytest.mark.parametrize(
    ("text", "mark", "says"),
    [
        ("a: [1", Mark(2, 1), "while parsing a flow sequence"),
        ("a: b: c", Mark(1, 5), "mapping values are not allowed"),
        ("a:\n\t- b", Mark(2, 1), "cannot start any token"),
        ("ü: 1\nb: \x01", Mark(2, 4), "a character that YAML does not have"),
        ("a: " + "[" * 80 + "]" * 80, Mark(1, 68), "nested deeper than 64 levels"),
    ],
)
def test_what_is_no_yaml_is_unreadable_at_its_place(text: str, mark: Mark, says: str) -> None:
    with pytest.raises(Unreadable, match=says) as refusal:
        parse(text)

    assert mark == refusal.value.mark
    assert refusal.value.problem.advice


def test_an_alias_of_nothing_is_a_problem_like_any_other() -> None:
    assert ["alias `*x`"] == [problem.text for _, problem in parse("a: *x")[1]]


def test_an_empty_text_is_null() -> None:
    assert read("") is None
    assert read("# only a comment") is None


def test_aliases_do_not_let_a_small_file_grow_without_bound() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 60))]

    tree, problems = parse("\n".join(lines))

    assert 60 + 2 * 59 == len(problems)
    assert copied(tree) == tree


def test_a_copy_shares_nothing() -> None:
    tree = read("a: {b: [1, {c: 2}]}")
    copy = copied(tree)
    copy["a"]["b"].drop(0)
    copy["a"]["b"][0].drop("c")

    assert {"a": {"b": [{}]}} == copy
    assert {"a": {"b": [1, {"c": 2}]}} == tree


@given(st.text(alphabet="ab:-[]{}&*!'\"\n #|>%,?0\t\x00\u2028é", max_size=40))
@example("? a\n: b")
@example("- - a\n  - b")
def test_any_text_is_read_or_unreadable(text: str) -> None:
    try:
        value, _ = parse(text)
    except Unreadable:
        return
    assert value is None or isinstance(value, Map | Seq | str | int | float)
