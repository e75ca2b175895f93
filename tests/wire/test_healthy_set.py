"""The healthy set of tests/healthy on real sockets: status, end-to-end headers and body bytes arrive as sent."""

from collections.abc import Iterator
from http import HTTPStatus

from postel.core.hold import is_guarded
from postel.misbehave import End, Received, Script, Step, chunk
from tests.healthy.samples import Sample, samples
from tests.wire.harness import Answer, Client, Wire, head, request, rig, wired

AT = "x-sample"
"""The request header by which the upstream knows which answer is wanted."""

FRAMING = {"connection", "content-length", "transfer-encoding", "x-request-id"}
"""Of the connection and not of the answer, and the one header that Postel adds."""


def replay(received: Received) -> Script:
    return Script("", list(steps(samples()[int(received.get(AT)[0])])))


def steps(sample: Sample) -> Iterator[Step]:
    names = {name.lower() for name, _ in sample.headers}
    fields = [f"{name}: {value}" for name, value in sample.headers]
    bodiless = sample.request.method == "HEAD" or sample.status in (204, 304)
    chunked = sample.given.stream is not None or "transfer-encoding" in names
    closing = "connection" in names
    if chunked and "transfer-encoding" not in names:
        fields.append("transfer-encoding: chunked")
    elif not (bodiless or chunked or closing or "content-length" in names):
        fields.append(f"content-length: {len(b''.join(sample.writes))}")
    yield head(f"{sample.status} {phrase(sample)}", *fields)
    if bodiless:
        return
    for piece in sample.writes:
        yield chunk(piece) if chunked else piece
    if chunked:
        yield b"0\r\n\r\n"
    elif closing:
        yield End.FIN


def phrase(sample: Sample) -> str:
    return HTTPStatus(sample.status).phrase if sample.given.reason is None else sample.given.reason


def question(at: int, sample: Sample) -> bytes:
    given = sample.request
    fields = {name: ", ".join(values) for name, values in sample.given.request.headers.items()}
    return request(given.method, sample.target, given.body, **{AT: str(at), **fields})


def differences(sample: Sample, got: Answer) -> Iterator[str]:
    unpacked = is_unpacked(sample)
    dropped = FRAMING | {"content-encoding"} if unpacked else FRAMING
    body = sample.plain if unpacked else b"".join(sample.writes)
    if (sample.status, phrase(sample)) != (got.status, got.reason):
        yield f"{got.status} {got.reason} {got.headers} {got.body[:300]!r}"
    if end_to_end(sample.headers, dropped) != end_to_end(got.headers, dropped):
        yield f"headers {got.headers}"
    if got.body != (b"" if sample.request.method == "HEAD" else body):
        yield f"body {got.body[:300]!r}"
    if not got.clean:
        yield "the framing has no end"


def is_unpacked(sample: Sample) -> bool:
    """An event stream is sent on decoded: nothing can be appended to a packed one that breaks."""
    fields = {name.lower(): value for name, value in sample.headers}
    kind = fields.get("content-type", "").partition(";")[0].strip().lower()
    packed = fields.get("content-encoding", "identity") != "identity"
    return packed and not sample.is_passthrough and is_guarded(sample.request.method, sample.status, kind or None)


def end_to_end(fields: tuple[tuple[str, str], ...], dropped: set[str]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in fields if name.lower() not in dropped]


async def connection(wire: Wire, client: Client | None) -> Client:
    return client if client and not client.reader.at_eof() else await wire.connect()


@wired
async def test_each_answer_of_the_healthy_set_arrives_as_it_was_sent() -> None:
    found = []
    async with rig(replay) as wire:
        client = None
        for at, sample in enumerate(samples()):
            client = await connection(wire, client)
            await client.send(question(at, sample))
            got = await client.answer(head=sample.request.method == "HEAD")
            found += [f"{sample.name}: {difference}" for difference in differences(sample, got)]
            if got.closed or not got.clean or (got.get("connection") or "").lower() == "close":
                client = None

    assert not found, "\n".join(found)
