import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.errorobject import find, unwrap
from postel.core.found import Scalar
from postel.core.jsontext import Json

INNER = {"error": {"message": "too long", "type": "BadRequestError", "param": None, "code": 400}}

# Who sends it, the document, and what is found: message, type, code, param.
SHAPES: list[tuple[str, Json, tuple[str | None, Scalar | None, Scalar | None, str | None]]] = [
    ("OpenAI", {"error": {"message": "m", "type": "t", "param": "p", "code": "c"}}, ("m", "t", "c", "p")),
    (
        "vLLM before 0.10.1",
        {"object": "error", "message": "m", "type": "t", "param": None, "code": 400},
        ("m", "t", 400, None),
    ),
    ("vLLM streams before 0.10.1", {"error": {"object": "error", "message": "m", "code": 400}}, ("m", None, 400, None)),
    ("FastChat", {"object": "error", "message": "m", "code": 50002}, ("m", None, 50002, None)),
    ("FastChat with nothing to say", {"object": "error", "message": "", "code": 50001}, (None, None, 50001, None)),
    (
        "Databricks external models",
        {
            "error_code": "BAD_REQUEST",
            "message": 'It failed: {"external_model_provider":"openai","external_model_error":'
            '{"error":{"message":"m m","type":"t","param":null,"code":"c"}}}',
        },
        ("m m", "t", "c", None),
    ),
    (
        "Ray LLM with an exception that says nothing",
        {
            "error": {
                "message": "Message: m m (Request ID: r1), Internal exception: C (Request ID: r1), original exception: "
            }
        },
        ("m m", None, None, None),
    ),
    ("FastChat streams", {"text": "m", "error_code": 50002}, ("m", None, 50002, None)),
    (
        "FastChat 401",
        {"detail": {"error": {"message": "", "code": "invalid_api_key"}}},
        (None, None, "invalid_api_key", None),
    ),
    ("Triton, Ollama", {"error": "m m"}, ("m m", None, None, None)),
    ("TGI", {"error": "m m", "error_type": "overloaded"}, ("m m", "overloaded", None, None)),
    ("TEI", {"message": "m", "code": 429, "type": "Overloaded"}, ("m", "Overloaded", 429, None)),
    ("DJL LMI", {"code": 424, "error": "m m"}, ("m m", None, 424, None)),
    ("pydantic, bare", [{"loc": ["body", "model"], "msg": "m"}], ("model: m", None, None, "model")),
    ("BentoML", [{"error": "m m"}], ("m m", None, None, None)),
    ("BentoML 1.0", "m m", ("m m", None, None, None)),
    (
        "BentoML validation",
        {
            "error": "1 validation error for Input",
            "detail": [{"type": "missing", "loc": ["prompt"], "msg": "Field required"}],
        },
        ("1 validation error for Input: prompt: Field required", "missing", None, "prompt"),
    ),
    ("FastAPI", {"detail": "m"}, ("m", None, None, None)),
    ("KoboldCpp", {"detail": {"error": "Unauthorized", "msg": "m m", "type": "t"}}, ("m m", "t", None, None)),
    (
        "Mistral",
        {"object": "error", "message": {"detail": [{"loc": ["body", "model"], "msg": "m"}]}},
        ("model: m", None, None, "model"),
    ),
    ("Anthropic", {"type": "error", "error": {"type": "t", "message": "m"}, "request_id": "r"}, ("m", "t", None, None)),
    (
        "Anthropic spend limit",
        {"error": {"type": "t", "message": "m", "details": {"error_code": "c"}}},
        ("m", "t", "c", None),
    ),
    (
        "Gemini",
        [{"error": {"code": 429, "message": "m", "status": "RESOURCE_EXHAUSTED"}}],
        ("m", "RESOURCE_EXHAUSTED", 429, None),
    ),
    ("gRPC gateway", {"code": 8, "message": "queue full", "details": []}, ("queue full", None, 8, None)),
    ("Kubernetes", {"kind": "Status", "message": "m", "reason": "NotFound", "code": 404}, ("m", "NotFound", 404, None)),
    ("AWS", {"__type": "com.amazon.x#ThrottlingException", "Message": "m"}, ("m", "ThrottlingException", None, None)),
    (
        "SageMaker",
        {
            "ErrorCode": "CLIENT",
            "Message": "from primary",
            "OriginalMessage": '{"error":"m m","error_type":"validation"}',
        },
        ("m m", "validation", "CLIENT", None),
    ),
    (
        "OpenRouter",
        {
            "error": {
                "message": "Provider returned error",
                "code": 429,
                "metadata": {"raw": '{"error":{"message":"m","type":"t"}}'},
            }
        },
        ("m", "t", 429, None),
    ),
    (
        "OpenRouter, bare words",
        {"error": {"message": "Provider returned error", "code": 502, "metadata": {"raw": "upstream error"}}},
        ("Provider returned error: upstream error", None, 502, None),
    ),
    (
        "OpenRouter, an object",
        {"message": "Provider error", "metadata": {"raw": {"error": "m m"}}},
        ("m m", None, None, None),
    ),
    ("OpenRouter streams", {"choices": [{"error": {"code": 502, "message": "m"}}]}, ("m", None, 502, None)),
    (
        "OpenAI response.failed",
        {"type": "response.failed", "response": {"error": {"code": "c", "message": "m"}}},
        ("m", None, "c", None),
    ),
    (
        "Workers AI",
        {"success": False, "errors": [{"code": 7003, "message": "m"}], "result": None},
        ("m", None, 7003, None),
    ),
    ("MiniMax", {"choices": None, "base_resp": {"status_code": 1002, "status_msg": "m"}}, ("m", None, 1002, None)),
    ("APISIX", {"error_msg": "m"}, ("m", None, None, None)),
    ("Apigee", {"fault": {"faultstring": "m", "detail": {"errorcode": "c"}}}, ("m", None, "c", None)),
    (
        "Databricks",
        {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "m"},
        ("m", None, "TEMPORARILY_UNAVAILABLE", None),
    ),
    ("Hugging Face", {"error": ["a b", "c d"], "warnings": []}, ("a b; c d", None, None, None)),
    ("xAI", {"code": "a sentence", "error": "m m"}, ("m m", None, "a sentence", None)),
    ("RFC 9457", {"status": 404, "title": "Not Found", "detail": "m m"}, ("m m", None, None, None)),
    (
        "RFC 9457, a telling title",
        {"title": "No credit", "detail": "m m", "type": "u"},
        ("No credit: m m", "u", None, None),
    ),
    ("NVIDIA", {"status": 429, "title": "Too Many Requests"}, ("Too Many Requests", None, None, None)),
    ("Falcon", {"title": "No such model", "description": "m m"}, ("No such model: m m", None, None, None)),
    (
        "ASP.NET",
        {"title": "Errors", "status": 400, "errors": {"model": ["The field is required."]}},
        ("model: The field is required.", None, None, "model"),
    ),
    (
        "Django REST framework",
        {"model": ["This field is required."]},
        ("model: This field is required.", None, None, "model"),
    ),
    (
        "Fastify",
        {"statusCode": 400, "code": "FST", "error": "Bad Request", "message": "m m"},
        ("m m", None, "FST", None),
    ),
    ("NestJS", {"statusCode": 400, "message": ["a b", "c d"], "error": "Bad Request"}, ("a b; c d", None, None, None)),
    (
        "Spring Boot",
        {"status": 500, "error": "Internal Server Error", "message": "", "path": "/"},
        ("Internal Server Error", None, None, None),
    ),
    ("RFC 6749", {"error": "invalid_token", "error_description": "m m"}, ("m m", None, "invalid_token", None)),
    ("Bedrock streams", {"throttlingException": {"message": "m m"}}, ("m m", "throttlingException", None, None)),
    (
        "SageMaker streams",
        {"ModelStreamError": {"ErrorCode": "c", "Message": "m m"}},
        ("m m", "ModelStreamError", "c", None),
    ),
    ("Bedrock without words", {"internalServerException": {}}, (None, "internalServerException", None, None)),
    (
        "SGLang's own API",
        {"text": "", "meta_info": {"finish_reason": {"type": "abort", "message": "m m", "status_code": 503}}},
        ("m m", None, 503, None),
    ),
    ("Cohere", {"type": "message-end", "delta": {"error": "m m", "finish_reason": "ERROR"}}, ("m m", None, None, None)),
    ("Hunyuan", {"ErrorMsg": {"Msg": "m m", "Code": 4013}, "Choices": []}, ("m m", None, 4013, None)),
    ("Tencent Cloud", {"Response": {"Error": {"Code": "c", "Message": "m m"}}}, ("m m", None, "c", None)),
    ("Flowise", {"event": "error", "data": "m m"}, ("m m", None, None, None)),
    ("an error's data", {"type": "error", "data": {"message": "m m", "code": 7}}, ("m m", None, 7, None)),
    ("an error's content", {"type": "error", "content": "m m"}, ("m m", None, None, None)),
    ("the AI SDK", {"type": "error", "errorText": "m m"}, ("m m", None, None, None)),
    ("WeChat", {"errcode": -1, "errmsg": "m m"}, ("m m", None, -1, None)),
    ("Baidu", {"err_no": 18, "err_msg": "m m"}, ("m m", None, 18, None)),
    ("a flag beside the words", {"error": 1, "msg": "m m"}, ("m m", None, None, None)),
    (
        "Gemini's array, whose last element failed",
        [{"candidates": []}, {"error": {"code": 503, "message": "m m"}}],
        ("m m", None, 503, None),
    ),
]


@pytest.mark.parametrize(("document", "expected"), [shape[1:] for shape in SHAPES], ids=[shape[0] for shape in SHAPES])
def test_every_known_shape_is_read(
    document: Json, expected: tuple[str | None, Scalar | None, Scalar | None, str | None]
) -> None:
    found = find(document)

    assert found is not None
    assert expected == (found.message, found.type, found.code, found.param)


@pytest.mark.parametrize(
    "document",
    [
        {
            "id": "x",
            "object": "chat.completion",
            "choices": [{"message": {"role": "assistant", "content": '{"error":"x"}'}}],
        },
        {"id": "x", "type": "message", "role": "assistant", "content": [{"type": "text", "text": "hi"}]},
        {"id": "x", "object": "response", "status": "completed", "error": None},
        {"type": "response.created", "response": {"error": None}},
        {"model": "m", "message": {"role": "assistant", "content": "hi"}, "done": True},
        {"index": 1, "token": {"text": "hi"}, "generated_text": None, "details": None},
        {"text": "hi", "error_code": 0},
        {"text": "hi", "meta_info": {"finish_reason": None}},
        {"text": "hi", "meta_info": {"finish_reason": {"type": "stop", "matched": 2}}},
        {"text": "hi", "meta_info": {"finish_reason": {"type": "abort", "message": "Aborted", "status_code": None}}},
        {"type": "message-end", "delta": {"finish_reason": "COMPLETE"}},
        {"type": "content", "data": "hi", "content": "hi"},
        {"inexceptional": {"message_id": 1}},
        {"errcode": 0, "errmsg": "ok"},
        [{"error": {"message": "m"}}, {"candidates": []}],
        {"base_resp": {"status_code": 0, "status_msg": "success"}},
        {"code": 0, "message": "success", "data": {}},
        {"object": "list", "data": [{"id": "m"}]},
        {"models": ["a", "b"]},
        {"error": False, "errors": []},
        {"error": "", "detail": None},
        {"error": {}},
        {"title": "A story", "body": "Once"},
        {f"chapter {n}": ["Once upon a time"] for n in range(17)},
        [[0.1, 0.2]],
        [],
        {},
        None,
        7,
    ],
)
def test_a_healthy_document_has_no_error(document: Json) -> None:
    assert find(document) is None


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(INNER),
        json.dumps(json.dumps(INNER)),
        str(INNER),
        f"Prefill failed: {json.dumps(INNER)}",
        f"litellm.BadRequestError: OpenAIException - Error code: 400 - {INNER}\nReceived Model Group=m",
        "error=ErrorInfo(message='too long', type='BadRequestError', param=None, code=400)",
        f"Message: x (Request ID: r), Internal exception: y, original exception: {INNER}",
        json.dumps({"error": {"message": json.dumps({"detail": f"Upstream: {json.dumps(INNER)}"}), "code": 502}}),
        json.dumps(INNER)[:-4],
    ],
)
def test_the_innermost_error_is_found_in_json_in_a_repr_and_in_prose(text: str) -> None:
    found = unwrap(text)

    assert ("too long", "BadRequestError") == (found.message, found.type)


def test_names_around_an_error_do_not_hide_that_it_is_a_single_word() -> None:
    text = 'litellm.A_Error: B_Exception - {"error": {"type": "t", "message": "Busy"}}. Handle with `litellm.AError`.'

    assert ("Busy", "t") == (unwrap(text).message, unwrap(text).type)


def test_a_validation_list_that_an_engine_printed_gives_its_field() -> None:
    printed = (
        "1 validation error:\n  {'type': 'missing', 'loc': ('body', 'messages'), 'msg': 'Field required', 'input': "
        "{'model': 'm'}}\n\n  File \"/usr/lib/vllm/api_server.py\", line 622, in create_chat_completion"
    )
    found = find({"error": {"message": printed, "type": "Bad Request", "param": None, "code": 400}})

    assert found is not None
    assert ("messages: Field required", "missing", 400, "messages") == (
        found.message,
        found.type,
        found.code,
        found.param,
    )


@pytest.mark.parametrize(
    "text",
    [
        'invalid tool call: {"message": "hello", "to": "bob"}',
        'unexpected content: {"error": "x"}',
        "options are {'embed'}",
        "valid range is [1, 8192]",
    ],
)
def test_json_in_prose_that_is_no_error_leaves_the_words_alone(text: str) -> None:
    assert text == unwrap(text).message


def test_unwrapping_ends_after_four_texts() -> None:
    nested = "the core"
    for _ in range(4):
        nested = json.dumps({"error": {"message": nested}})
    assert unwrap(nested).message == "the core"

    assert unwrap(json.dumps({"error": {"message": nested}})).message == json.dumps({"error": {"message": "the core"}})


KEYS = (
    "error errors message detail details title status type code param loc msg raw metadata choices response fault"
    " base_resp text object OriginalMessage"
).split()
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "x y", "error", '{"error":"a b"}', "\ud800"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=25,
)


@given(ANYTHING)
def test_no_document_makes_it_raise_and_what_is_found_says_something(document: Json) -> None:
    found = find(document)

    assert found is None or found.message != ""
