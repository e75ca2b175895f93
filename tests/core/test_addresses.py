import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.addresses import ADDRESS
from postel.core.redact import Redactor

REDACT = Redactor().redact


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("redis at redis-master.default:6379 timed out", f"redis at {ADDRESS} timed out"),
        ("kafka:9092 is down, my_vllm_1:8000 too", f"{ADDRESS} is down, {ADDRESS} too"),
        ("node10.cluster:31000 down", f"{ADDRESS} down"),
        ("brokers kafka-1:9092,kafka-2:9092", f"brokers {ADDRESS},{ADDRESS}"),
        ("app@db:5432 (7f3a9c1b2d4e:8000)", f"app@{ADDRESS} ({ADDRESS})"),
        ("Cannot connect to host vllm:80, server engine:443", f"Cannot connect to host {ADDRESS}, server {ADDRESS}"),
        ("ip-10-0-1-2 and ip-10-0-1-2.ec2.internal:80", f"{ADDRESS} and {ADDRESS}"),
        ("db.a1b2.us-east-1.rds.amazonaws.com refused", f"{ADDRESS} refused"),
        ("http://internal-x.us-east-1.elb.amazonaws.com/v1", ADDRESS),
        ("123456789012.dkr.ecr.us-east-1.amazonaws.com/vllm:1", f"{ADDRESS}/vllm:1"),
        ("engine.models.svc.cluster.local and engine.models.svc:80", f"{ADDRESS} and {ADDRESS}"),
        ("vllm-7d9c5b6f4-x2x7k evicted", f"{ADDRESS} evicted"),
        ('pods "vllm-0" not found, pod/vllm-0', f'pods "{ADDRESS}" not found, pod/{ADDRESS}'),
        ("gke-prod-pool-1a2b3c4d-x1yz", ADDRESS),
        ('User "system:serviceaccount:llm:vllm" cannot', f'User "{ADDRESS}" cannot'),
        ("getaddrinfo ENOTFOUND vllm", f"getaddrinfo ENOTFOUND {ADDRESS}"),
        ("Failed to resolve 'vllm' ([Errno -2] no)", f"Failed to resolve {ADDRESS} ([Errno -2] no)"),
        ("Could not resolve host: vllm", f"Could not resolve host: {ADDRESS}"),
        ("Failed to connect to vllm port 8000 after 0 ms", f"Failed to connect to {ADDRESS} after 0 ms"),
    ],
)
def test_the_names_of_machines_are_masked(text: str, left: str) -> None:
    assert left == REDACT(text)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("[::ffff:10.0.0.1]:80 and ::ffff:10.0.0.1:8000", f"{ADDRESS} and {ADDRESS}"),
        ("10.1.2.3, 172.16.0.1:80, 192.168.0.0/16, 100.64.0.1", f"{ADDRESS}, {ADDRESS}, {ADDRESS}, {ADDRESS}"),
        ("[fd00::1] from 02:42:ac:11:00:02", f"{ADDRESS} from {ADDRESS}"),
        ("object <vllm.Engine object at 0x7f00>", f"object {ADDRESS}"),
        ("segfault at 0x7f3a2c001000, 0x55d0c0a1b2c3", f"segfault at {ADDRESS}, {ADDRESS}"),
    ],
)
def test_numbers_of_machines_and_of_their_memory_are_masked_whole(text: str, left: str) -> None:
    assert left == REDACT(text)


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket/models/x",
        "gs://bucket/x",
        "abfss://c@acct.dfs.core.windows.net/x",
        "unix:///run/vllm.sock",
        "redis://:hunter2@cache:6379/0",
        "postgres://u:p@db.example.com/x",
        "jdbc:postgresql://db:5432/x?user=a&password=b",
        "jdbc:oracle:thin:scott/tiger@db:1521:orcl",
        "https://acct.blob.core.windows.net/c?sig=abc",
        "http://keycloak.internal:8080/realms/x",
    ],
)
def test_urls_of_machines_and_stores_are_masked_whole(url: str) -> None:
    assert f"at {ADDRESS}, gone" == REDACT(f"at {url}, gone")


@pytest.mark.parametrize(
    "text",
    [
        "model:7b, llama3.1:8b, llama3:8080b, qwen2.5:0.5b, gpt-oss:20b, mistral-large:2407, openai/x:20250805",
        '{"code":40001} code:40001 error:50001, status:5000, errcode:10013, server error:50001',
        "errorCode:40001 maxTokens:4096 max_tokens:4096 usage.total_tokens:5000 MAX-TOKENS:4096",
        "tokens:4096,8192 score:1234.5 elapsed:1234ms size:100000 x:70000",
        "12:3000, 16:9, 12:30:4500, 2024-01-01T12:30:45.123Z, Jan:2024",
        "Nous-Hermes-2-Mixtral-8x7B-DPO-GPTQ my-starcoder2-turbo claude-3-5-sonnet-20241022-turbo name-7b-q4_K_M",
        "req_011CSHoEeqs5C35K2UUqR7Fy chatcmpl-9f2c1b0d 4e1f0c9a-6d1b-4c55-9b53-0e0a4b6c1f11",
        "HRESULT 0x80070005, version 0.10.1rc2, driver 535.104.05, asked by 8.8.8.8",
        "failed to resolve model 'x', could not resolve adapter, connect to the server on port 8000",
        "https://docs.vllm.ai/en/latest/serving.html, https://api.openai.com/v1/chat/completions",
    ],
)
def test_what_only_looks_like_an_address_stays_to_the_letter(text: str) -> None:
    assert text == REDACT(text)


@given(st.from_regex(r"[a-z]{2,8}[0-9](\.[a-z]{2,8}){0,2}", fullmatch=True), st.integers(3000, 65535))
def test_any_host_with_a_port_of_its_own_is_masked(host: str, port: int) -> None:
    assert f"at {ADDRESS}, down" == REDACT(f"at {host}.nodes:{port}, down")
