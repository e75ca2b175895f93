import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.redact import ADDRESS, PATH, SECRET, Redactor

REDACT = Redactor().redact


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Incorrect API key provided: sk-abc***xyz. See docs", f"Incorrect API key provided: {SECRET}. See docs"),
        ("key sk-proj-AbC123def456, and", f"key {SECRET}, and"),
        ("invalid hf_abcdefghijklmnop1234", f"invalid {SECRET}"),
        ("gsk_ABCDEFGHIJ1234567890 and AKIAIOSFODNN7EXAMPLE", SECRET + " and " + SECRET),
        ("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.abc-def_1", f"Authorization: Bearer {SECRET}"),
        ("?key=AIzaSyA-1234567890123456789012345678901&x", f"?key={SECRET}&x"),
        (f"Key Hash (Token) ={'88dc28d0' * 8}. Unable", f"Key Hash (Token) ={SECRET}. Unable"),
        ("api_key=abcdef123456; password: hunter2abc", f"api_key={SECRET}; password: {SECRET}"),
        ("token nQ4f****************************Zz rejected", f"token {SECRET} rejected"),
        ("Your account org-1 <ak-1> is not active", f"Your account {SECRET} is not active"),
        ("account org-446a70bb2cc542e3960c0b7f05e4e0e1", f"account {SECRET}"),
        ("for gpt-4o in organization org-abc on tokens", f"for gpt-4o in organization {SECRET} on tokens"),
        ("your organization (a22cf6e6-a940-4fff-8c4c-1580816ac7be) of", f"your organization {SECRET} of"),
        ("for account 'Qawmu2vUw3rdcREnubcAVqe1c55nUTb1hCogKQx4BCA'", f"for account '{SECRET}'"),
        ("consumer 'project_number:123456'", f"consumer 'project_number:{SECRET}'"),
        ("sk_live_51Hxyz..., pk_test_abc, rk_0123456789abcdef", f"{SECRET}..., {SECRET}, {SECRET}"),
        ("ghp_abcdefghijklmnop0123456789, xoxb-1234-abcdefGHIJ", f"{SECRET}, {SECRET}"),
        ("github_pat_11ABCDEFG0abcdefghijk", SECRET),
        ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {SECRET}"),
        ("'authorization': 'Token abc123def'", f"'authorization': 'Token {SECRET}'"),
        ("sent cookie: session=abc", f"sent cookie: {SECRET}"),
        ("invalid key 0123456789abcdef0123456789abcdef", f"invalid key {SECRET}"),
        ('secret "YWJjZGVmZ2hpamtsbW5vcHFyc3Q="', f'secret "{SECRET}"'),
        ("password=p@ss!word; x", f"password={SECRET}; x"),
        ("AccountName=x;AccountKey=abcDEF123456+/xyz==", f"AccountName=x;AccountKey={SECRET}"),
        ("https://x.com/a?X-Amz-Signature=0123&b=1", f"https://x.com/a?X-Amz-Signature={SECRET}&b=1"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----", SECRET),
        ("admin:hunter2@db", SECRET),
        ("arn:aws:bedrock:us-east-1:123456789012:model/abc not found", f"{SECRET} not found"),
        ("ask admin@example.com", f"ask {SECRET}"),
        ("endpoint 10.0.7.136:8000: timed out", f"endpoint {ADDRESS}: timed out"),
        ("Trying to reach: 'http://10.24.0.9:9090/api?x=1'", f"Trying to reach: '{ADDRESS}'"),
        ("http://vllm:8000/v1/models, http://user:pw@example.com/x", f"{ADDRESS}, {ADDRESS}"),
        ("redis://cache/0 and file:///etc/passwd", f"{ADDRESS} and {ADDRESS}"),
        ("lookup llm.default.svc.cluster.local on 10.96.0.10:53", f"lookup {ADDRESS} on {ADDRESS}"),
        ("lookup llm on 10.96.0.10:53: no such host", f"lookup {ADDRESS} on {ADDRESS}: no such host"),
        ("Cannot connect to host vllm-engine:8000", f"Cannot connect to host {ADDRESS}"),
        ("Connect call failed ('10.1.2.3', 8000)", f"Connect call failed {ADDRESS}"),
        ("Pool(host='vllm', port=8000): retries", f"Pool({ADDRESS}): retries"),
        ("refused ::1:8000, [fe80::1]:80, fd12:3456::1", f"refused {ADDRESS}, {ADDRESS}, {ADDRESS}"),
        ("localhost:11434 and 8.8.8.8:53 and 169.254.1.1", f"{ADDRESS} and {ADDRESS} and {ADDRESS}"),
        ("staging on node worker-1 (41%)", f"staging on node {ADDRESS} (41%)"),
        ("No such file: /usr/local/lib/python3.12/x.py", f"No such file: {PATH}"),
        ("cannot open '/models/llama-70b'", f"cannot open '{PATH}'"),
        (r"C:\Program Files\Foo\bar.dll, ok", f"{PATH}, ok"),
        ("src/main.rs:12:5 and app.py:12", f"{PATH} and {PATH}"),
        (r"C:\\Users\\bob\\x.gguf and C:/Users/bob/x.gguf: gone", f"{PATH} and {PATH}: gone"),
        (r"\\nas\share\x and \\\\nas\\share\\x", f"{PATH} and {PATH}"),
        ("unix:/run/vllm/api.sock:/v1/models, /vllm-workspace/x", f"unix:{PATH}, {PATH}"),
        ("ggml.c:1234 and llama.cpp:12345", f"{PATH} and {PATH}"),
        ('bad\n  File "/app/x.py", line 3, in f\n    g()', "bad"),
        ("too large\n    at read (/app/node_modules/x.js:1:2)", "too large"),
        ("1 error [type=missing, input_value={'a': 'secret'}, input_type=dict]", "1 error"),
        ("<h1>Bad &amp; <b>ugly</b></h1>", "Bad &  ugly"),
    ],
)
def test_secrets_addresses_paths_traces_and_markup_are_masked(text: str, left: str) -> None:
    assert left == REDACT(text).strip()


@pytest.mark.parametrize(
    "text",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 4608 tokens.",
        "Rate limit: Limit 30000, Used 28770, Requested 4351. Please try again in 6.242s.",
        "See https://platform.openai.com/docs/guides/error-codes/api-errors.",
        "Invalid URL (POST /v1/chat/completions)",
        "Could not route to /client/v4/accounts/xxx/ai/v1/chat/completions",
        "Cannot GET /models/x",
        'Unsupported media type "text/plain", use application/json',
        "meta-llama/Llama-3.1-8B-Instruct, BAAI/bge-small-en-v1.5, Nous-Hermes-2-Mixtral-8x7B-DPO-GPTQ",
        "Request 4e1f0c9a-6d1b-4c55-9b53-0e0a4b6c1f11 timed out after 30.0s.",
        "CUDA out of memory. Tried to allocate 2.00 GiB at 12:30:45, driver 535.104.05",
        "Use Bearer authentication; invalid token: expected a string; input token: 123456; key: temperature",
        "Unexpected <class 'str'>, 1 < 2, options are {'embed'}, [1, 8192]",
        "release 999.1.1.1 at [12:30:45]",
        "Use Basic authentication (i.e. Authorization: Bearer YOUR_KEY); password: Field required",
        "token /v1/chat/completions, key meta-llama/Llama-3-8B-Instruct, sk_buff and pk_id",
        "std::vector<int>:1, I/O and/or c:/, a drive c: and http:/",
        "task-force, ask-me, risk-free, std::vector, a::b",
        "您当前使用该API的并发数过高",
    ],
)
def test_what_a_client_may_know_stays_to_the_letter(text: str) -> None:
    assert text == REDACT(text)


def test_the_operators_own_patterns_are_masked_too() -> None:
    redactor = Redactor(extra=("project-[a-z]+", ".{0}"))

    assert f"{SECRET} is full" == redactor.redact("Project-Apollo is full")
    assert SECRET == Redactor(extra=(".*",)).redact("x y z")


def test_a_pattern_that_re2_refuses_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="perl operator"):
        Redactor(extra=("(?=x)",))


PIECES = (
    "kafka:9092|code:|40001|sk_live_|C:/|Users/|0x7f00|<a.B object at |>|::ffff:|vllm-7d9c5b6f4-x2x7k|-|basic |jdbc:"
    "|sk-abc|10.0.0.1|:80|/usr/lib/x.py|org-1|<ak-1>|http://|localhost|Bearer |eyJabcdefgh.a|key=|a1b2c3d4|***|@x.com"
    "|\\\\|C:\\|at /x:1|<b>|&lt;|(redacted)|(path)|[fe80::1]| |.|account |'|word|\ud800|é"
).split("|")


@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_redacting_twice_is_redacting_once_and_nothing_known_is_left(text: str) -> None:
    left = REDACT(text)

    assert left == REDACT(left)
    assert "fe80::1" not in left
    assert "<ak-1>" not in left


@given(st.text(), st.sampled_from([" ", ", ", "\n", "('", ": "]))
def test_a_key_an_address_and_a_path_are_found_behind_any_text(text: str, between: str) -> None:
    left = REDACT(f"{text}{between}sk-abcdef012345 10.1.2.3:80 /srv/me/secret.txt")

    assert not any(leak in left for leak in ("abcdef012345", "10.1.2.3", "/srv/me"))
