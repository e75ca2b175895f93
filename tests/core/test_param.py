import pytest

from postel.core.param import openai_field


@pytest.mark.parametrize(
    ("param", "field"),
    [
        ("model", "model"),
        ("messages[0].content", "messages[0].content"),
        ("messages.0.role", "messages.0.role"),
        ("tools[0].function.name", "tools[0].function.name"),
        ("body.messages", "messages"),
        ("$.messages[0]", "messages[0]"),
        ("/messages/0/role", "messages.0.role"),
        ("#/messages/0/role", "messages.0.role"),
        ("'temperature' ", "temperature"),
        ("input", "input"),
        ("prompt", "prompt"),
        ("max_output_tokens", "max_output_tokens"),
        ("image_url", "image_url"),
        ("model.", "model"),
    ],
)
def test_a_field_of_an_openai_request_is_named_as_its_client_knows_it(param: str, field: str) -> None:
    assert field == openai_field(param)


@pytest.mark.parametrize(
    "param",
    [
        "inputs",
        "max_new_tokens",
        "input_tokens",
        "input_text",
        "body",
        "body.15",
        "query.model",
        "path.model",
        "422",
        "quota",
        "",
        "{'model': 'm'}",
        "messages..role",
        "messages[x]",
        "model is missing",
        "messages." * 100,
    ],
)
def test_an_engines_own_name_an_offset_or_an_echo_is_none(param: str) -> None:
    assert openai_field(param) is None
