"""No connection to the upstream: every way it can fail is an envelope, and none of them outlasts its timer."""

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from postel.misbehave import Engine, answer, by_path
from tests.wire.harness import listening, post, request, rig, says, unused_port, wired

CHAT = post()


@wired
async def test_a_refused_connection_is_an_envelope_with_a_wait() -> None:
    async with rig(upstream=f"http://127.0.0.1:{unused_port()}") as wire:
        got = await wire.ask(post(x_request_id="mine-1"))

    assert (502, "upstream_unreachable") == got.told
    assert "mine-1" == got.get("x-request-id")
    assert "true" == got.get("x-should-retry")
    assert 5 <= int(got.get("retry-after") or 0) <= 7
    assert got.seconds < 2


@wired
async def test_the_same_client_connection_recovers_once_the_upstream_is_up() -> None:
    port = unused_port()
    engine = Engine(by_path)
    async with rig(upstream=f"http://127.0.0.1:{port}") as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            assert (502, "upstream_unreachable") == (await client.answer()).told
        await engine.start(port=port)
        try:
            await client.send(CHAT)
            got = await client.answer()
        finally:
            await engine.stop()

    assert 200 == got.status
    assert 1 == len(engine.received)


@wired
async def test_a_name_with_several_dead_addresses_is_an_envelope() -> None:
    async with rig(upstream=f"http://localhost:{unused_port()}") as wire:
        assert (502, "upstream_unreachable") == (await wire.ask(CHAT)).told


@wired
async def test_a_name_that_does_not_resolve_is_an_envelope() -> None:
    async with rig(upstream="http://engine.invalid:8000") as wire:
        got = await wire.ask(CHAT)

    assert (502, "upstream_unreachable") == got.told
    assert "engine.invalid" not in got.error["message"]


@wired
async def test_head_get_and_passthrough_paths_get_the_envelope_of_a_dead_upstream_too() -> None:
    async with rig(upstream=f"http://127.0.0.1:{unused_port()}") as wire:
        assert (502, "upstream_unreachable") == (await wire.ask(request("GET", "/health"))).told
        got = await wire.ask(request("HEAD", "/v1/models"))

    assert (502, b"", True) == (got.status, got.body, got.clean)
    assert int(got.get("content-length") or 0) > 50


@pytest.fixture
def full_backlog() -> Iterator[int]:
    """A port that listens, but whose queue is full: the kernel drops every further SYN."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@wired
async def test_a_connection_that_is_never_made_ends_with_the_connect_timer(full_backlog: int) -> None:
    async with rig(upstream=f"http://127.0.0.1:{full_backlog}", connect_timeout=0.4) as wire:
        got = await wire.ask(CHAT)

    assert (502, "upstream_unreachable") == got.told
    assert 0.4 <= got.seconds < 1.5


@wired
async def test_a_client_connection_survives_a_connect_timeout(full_backlog: int) -> None:
    async with rig(upstream=f"http://127.0.0.1:{full_backlog}", connect_timeout=0.3) as wire:
        client = await wire.connect()
        for _ in range(2):
            await client.send(CHAT)
            assert (502, "upstream_unreachable") == (await client.answer()).told


# TLS ------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for this machine and its key, in one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
            ),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@contextlib.asynccontextmanager
async def https(certificate: Path) -> AsyncIterator[tuple[Engine, int]]:
    """The misbehaving engine behind TLS."""
    engine = Engine(by_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    async with listening(engine._connection, ssl=context) as port:
        yield engine, port


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@wired
async def test_an_https_upstream_with_its_ca_known_works_like_any_other(certificate: Path, host: str) -> None:
    async with (
        https(certificate) as (engine, port),
        rig(upstream=f"https://{host}:{port}", upstream_ca=str(certificate)) as wire,
    ):
        client = await wire.connect()
        await client.send(CHAT)
        healthy = await client.answer()
        await client.send(post("/fault/closed/v1/chat/completions"))
        closed = await client.answer()

    assert 200 == healthy.status
    assert (502, "bad_gateway") == closed.told
    assert [f"{host}:{port}"] == engine.received[0].get("host")


@wired
async def test_an_https_upstream_that_nobody_vouches_for_is_an_envelope(certificate: Path) -> None:
    async with https(certificate) as (engine, port), rig(upstream=f"https://localhost:{port}") as wire:
        got = await wire.ask(CHAT)

    assert (502, "bad_gateway") == got.told
    assert [] == engine.received


@wired
async def test_verification_can_be_switched_off(certificate: Path) -> None:
    async with (
        https(certificate) as (_, port),
        rig(upstream=f"https://localhost:{port}", upstream_insecure=True) as wire,
    ):
        assert 200 == (await wire.ask(CHAT)).status


@wired
async def test_an_upstream_that_speaks_no_tls_is_an_envelope() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(answer("400 Bad Request", "Client sent a plain request to an HTTPS server", "text/plain"))

    async with listening(plain) as port, rig(upstream=f"https://127.0.0.1:{port}") as wire:
        got = await wire.ask(CHAT)

    assert (502, "bad_gateway") == got.told
    assert got.seconds < 2


@wired
async def test_a_tls_handshake_that_nobody_answers_ends_with_the_connect_timer() -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(-1)

    async with listening(mute) as port, rig(upstream=f"https://127.0.0.1:{port}", connect_timeout=0.4) as wire:
        got = await wire.ask(CHAT)

    assert (502, "upstream_unreachable") == got.told
    assert 0.4 <= got.seconds < 1.5


@wired
async def test_a_proxy_that_would_call_itself_says_so_instead_of_looping() -> None:
    port = unused_port()
    async with rig(upstream=f"http://localhost:{port}", listen=f"127.0.0.1:{port}") as wire:
        assert (502, "upstream_unreachable") == (await wire.ask(CHAT)).told


@wired
async def test_a_refused_connection_does_not_disturb_the_other_clients() -> None:
    async with rig(says(answer("200 OK", "{}"))) as wire:
        client = await wire.connect()
        await client.send(CHAT)
        assert 200 == (await client.answer()).status
        await wire.engine.stop()
        await client.send(CHAT)
        assert (502, "upstream_unreachable") == (await client.answer()).told
