import math

import pytest

from postel.core.found import Found, Scalar, code_of, fold, joined, param_of, path_of, scalar_of, type_of
from postel.core.jsontext import Json


def test_the_inner_find_leads_and_the_outer_fills_what_it_leaves_open() -> None:
    inner = Found(message="too long", code=0)
    outer = Found(message="Bad Request", type="BadRequestError", code=400, param="messages", error={"a": 1})

    assert Found("too long", "BadRequestError", 0, "messages", {"a": 1}) == inner.over(outer)


def test_keys_fold_and_the_first_of_two_alike_counts() -> None:
    assert {"errorcode": 1, "@type": "x"} == fold({"error_code": 1, "errorCode": 2, " @type": "x"})


@pytest.mark.parametrize(
    ("first", "second", "both"),
    [
        ("Bad luck", "no luck", "Bad luck: no luck"),
        ("Bad luck.", "no", "Bad luck: no"),
        ("luck", "Bad Luck today", "Bad Luck today"),
        ("Bad Luck today", "luck", "Bad Luck today"),
    ],
)
def test_two_texts_are_joined_unless_one_holds_the_other(first: str, second: str, both: str) -> None:
    assert both == joined(first, second)


@pytest.mark.parametrize(
    ("value", "scalar"),
    [(" x ", "x"), ("", None), (0, 0), (1.5, 1.5), (math.nan, None), (math.inf, None), (False, False), ([], None)],
)
def test_a_scalar_is_a_text_with_something_in_it_a_finite_number_or_a_boolean(
    value: Json, scalar: Scalar | None
) -> None:
    assert scalar == scalar_of(value)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"type": "overloaded_error"}, "overloaded_error"),
        ({"error_type": "validation", "type": "x"}, "validation"),
        ({"type": "error"}, None),
        ({"type": "about:blank", "status": 404}, None),
        ({"__type": "com.amazon.coral.service#ThrottlingException"}, "ThrottlingException"),
        ({"status": "RESOURCE_EXHAUSTED"}, "RESOURCE_EXHAUSTED"),
        ({"status": "error"}, None),
        ({"kind": "Status", "reason": "ServiceUnavailable"}, "ServiceUnavailable"),
        ({"reason": "ServiceUnavailable"}, None),
    ],
)
def test_the_type_has_several_spellings(error: dict[str, Json], kind: str | None) -> None:
    assert kind == type_of(fold(error))


@pytest.mark.parametrize(
    ("error", "code"),
    [
        ({"code": 429}, 429),
        ({"error_code": "TEMPORARILY_UNAVAILABLE"}, "TEMPORARILY_UNAVAILABLE"),
        ({"code": "", "errorCode": 7}, 7),
        ({"errcode": -1}, -1),
        ({"err_no": 18}, 18),
        ({"details": {"error_code": "enforced_spend_limit_reached"}}, "enforced_spend_limit_reached"),
        ({"statusCode": 401}, None),
    ],
)
def test_the_code_has_several_spellings(error: dict[str, Json], code: Scalar | None) -> None:
    assert code == code_of(fold(error))


@pytest.mark.parametrize(
    ("error", "param"),
    [
        ({"param": "body.15"}, "body.15"),
        ({"param": ["body", "messages"]}, "messages"),
        ({"param": ""}, None),
        ({"field": "x"}, "x"),
        ({"loc": ["body", "model"]}, "model"),
    ],
)
def test_the_param_is_told_as_it_was_written(error: dict[str, Json], param: str | None) -> None:
    assert param == param_of(fold(error))


@pytest.mark.parametrize(
    ("loc", "path"),
    [
        (["body", "messages"], "messages"),
        (["body", "messages", 0, "ChatCompletionUserMessageParam", "content"], "messages.0.content"),
        (["body", "messages", "list[union[str,int]]", 1, "function-after[check(), X]", "role"], "messages.1.role"),
        ("body.messages.0", "messages.0"),
        (["query", "limit"], "query.limit"),
        (["body", 15], None),
        ("body.15", None),
        (["body"], None),
        (None, None),
    ],
)
def test_a_place_is_a_path_without_pydantics_way_through_it(loc: Json, path: str | None) -> None:
    assert path == path_of(loc)
