import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core import jsonpath

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "error"]), inner, max_size=3)
    ),
    max_leaves=8,
)
EXPRESSIONS = [
    "error.code",
    "errors[0].code",
    "a[?b > `1`].a | [0]",
    "length(a)",
    "sort_by(a, &b)",
    "{x: a, y: b}",
    "&a",
    "@",
]


@pytest.mark.parametrize(
    ("source", "document", "found"),
    [
        ("error.code", {"error": {"code": 7}}, 7),
        ("errors[0].code", {"errors": [{"code": "E17"}]}, "E17"),
        ("errors[?kind=='gpu'].left | [0]", {"errors": [{"kind": "cpu", "left": 1}, {"kind": "gpu", "left": 2}]}, 2),
        ("error.code", {"error": "text"}, None),
        ("error.code", [1, 2], None),
        ("length(@)", 7, None),
    ],
)
def test_an_expression_finds_its_value_or_null(source: str, document: object, found: object) -> None:
    assert found == jsonpath.compile(source).find(document)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("", "cannot be empty"),
        ("a..b", "column 2"),
        ("a[", "Incomplete expression"),
        ("lenght(@)", "there is no function lenght()"),
        ("a == `{`", "no JSON"),
    ],
)
def test_a_wrong_expression_is_refused_with_a_reason_of_one_line(source: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".") as refusal:
        jsonpath.compile(source)

    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)


@given(st.sampled_from(EXPRESSIONS), JSON)
def test_finding_never_raises(source: str, document: object) -> None:
    jsonpath.compile(source).find(document)


PATHS = st.lists(st.sampled_from(["a", "b", "error", "[0]", "[1]", "[-1]"]), min_size=1, max_size=4)


@given(PATHS, JSON)
def test_a_plain_path_finds_what_jmespath_finds(steps: list[str], document: object) -> None:
    source = ".".join(steps).replace(".[", "[")

    assert jmespath.search(source, document) == jsonpath.compile(source).find(document)
