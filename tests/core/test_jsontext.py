import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.jsontext import DEPTH, MISSING, Json, decode, decode_all, embedded, salvage, unescape, writable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(JSON)
def test_json_is_read_as_python_reads_it(value: Json) -> None:
    assert value == decode_all(f" {json.dumps(value)}\n")


def test_null_is_a_document_and_nothing_is_none() -> None:
    assert decode_all("null") is None
    assert decode_all("") is MISSING
    assert decode_all('{"a": 1} and more') is MISSING


def test_a_raw_newline_inside_a_string_does_no_harm() -> None:
    assert decode_all('{"message": "two\nlines"}') == {"message": "two\nlines"}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 60_000,
        '{"code": ' + "9" * 5000 + "}",
        "{'single': 1}",
        '{"cut": ',
    ],
)
def test_what_is_far_too_deep_too_long_or_no_json_is_no_document(text: str) -> None:
    assert decode(text) is None


@pytest.mark.parametrize(("opening", "closing"), [('{"a":', "}"), ("[", "]")])
def test_what_lies_too_deep_is_null(opening: str, closing: str) -> None:
    whole = decode_all(opening * DEPTH + "1" + closing * DEPTH)
    deeper = decode_all(opening * (DEPTH + 9) + "1" + closing * (DEPTH + 9))

    assert json.dumps(whole).replace("1", "null") == json.dumps(deeper)


def test_wide_documents_are_not_taken_for_deep_ones() -> None:
    assert decode_all(json.dumps([[1]] * 5000)) == [[1]] * 5000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{'error': {'code': '429', 'message': \"it's\"}}", {"error": {"code": "429", "message": "it's"}}),
        ("{'loc': ('body', 'messages'), 'n': None, 'ok': True}", {"loc": ["body", "messages"], "n": None, "ok": True}),
        ("ErrorInfo(message='too long', code=400)", "ErrorInfo"),
        ("{'error': ErrorInfo(message='too long', code=400)}", {"error": {"message": "too long", "code": 400}}),
        ("{'input': <dict of 0 items>, 'x': datetime.now(1)}", {"input": "<dict of 0 items>", "x": "datetime.now"}),
        ("{'a', 'b'}", ["a", "b"]),
        ("[Error(code=1), Error(code=2)]", [{"code": 1}, {"code": 2}]),
        ("{}", {}),
        ("()", []),
        ('{"detail": [{"msg": "Field req', {"detail": [{"msg": "Field req"}]}),
        ('{"a": -1.5e3, "b": true, "c": \\u0041}', {"a": -1500.0, "b": True, "c": "\\u0041"}),
        (r"{'path': 'C:\\x', 'u': '\x41\u00e9\n'}", {"path": "C:\\x", "u": "Aé\n"}),
    ],
)
def test_what_python_printed_or_the_end_cut_short_is_salvaged(text: str, value: Json) -> None:
    assert value == salvage(text)[0]


def test_containers_in_prose_are_found_with_their_places() -> None:
    text = """Error code: 400 - {'error': {'message': 'no'}} in call f(a=1), [1, 2] then {"b": 2}"""

    found = [(value, text[start:end]) for value, start, end in embedded(text)]

    assert [
        ({"error": {"message": "no"}}, "{'error': {'message': 'no'}}"),
        ({"a": 1}, "(a=1)"),
        ({"b": 2}, '{"b": 2}'),
    ] == found


@given(st.text(alphabet="{}[]()'\",:=\\ ua1<>\n\ud800", max_size=300))
def test_nothing_makes_the_salvage_raise_or_leave_the_text(text: str) -> None:
    _, end = salvage(text)

    assert 0 <= end <= len(text)
    assert all(0 <= start < stop <= len(text) for _, start, stop in embedded(text))


def test_escapes_are_resolved_once_and_surrogate_pairs_joined() -> None:
    assert "😀 \\n \ufffd" == unescape(r"\ud83d\ude00 \\n \ud83d")


@given(st.text())
def test_writable_keeps_the_length_and_can_be_written(text: str) -> None:
    text += "\udfff"

    assert len(text) == len(writable(text))
    assert writable(text).encode()
