"""Streams that are complete, however they are sent and whatever comes after: each variant in each form."""

from collections.abc import Callable, Iterator, Sequence

from postel.misbehave import End, Step, chunk
from tests.clients.broken_streams import CHOICES, GZIP, HALF, HEAD, LAST, PAUSE, start, zipped
from tests.clients.case import Whole
from tests.clients.forms import DONE, FORMS, Document, Form, event, events
from tests.clients.unopened_streams import SECOND_ATTEMPTS


def bytes_of(form: Form) -> bytes:
    return events(form.documents) + form.done


def played(body: bytes) -> list[Step]:
    """A body in one chunk and in its framing."""
    return [HEAD, chunk(body) + LAST]


def said_to_the_end(form: Form) -> list[Step]:
    """All of a form but the end of the framing."""
    return [*start(form.documents), *([chunk(form.done)] if form.done else [])]


def _case(
    form: Form,
    name: str,
    steps: Sequence[Step],
    passed: bytes | None = None,
    *,
    document: Sequence[Document] = (),
    prefix: str = "",
) -> Whole:
    return Whole(
        form.case(name),
        steps,
        document or form.documents,
        operation=form.operation,
        prefix=prefix,
        passed=bytes_of(form) if passed is None else passed,
    )


def _everywhere(form: Form) -> Iterator[Whole]:
    body = bytes_of(form)
    spoken, ending = events(form.spoken), events(form.ending) + form.done
    yield _case(form, "whole", [*said_to_the_end(form), LAST])
    yield _case(form, "reset-after-its-end", [*said_to_the_end(form), PAUSE, End.RST])
    yield _case(form, "closed-after-its-end", [*said_to_the_end(form), End.FIN])
    yield _case(form, "in-fragments", [HEAD, *(chunk(body[at : at + 7]) for at in range(0, len(body), 7)), LAST])
    yield _case(form, "in-gzip", [GZIP, *zipped([event(document) for document in form.documents] + [form.done]), LAST])
    windows = b": hello\r\n\r\n" + body.replace(b"\n", b"\r\n")
    yield _case(form, "with-comments-and-crlf", played(windows), windows)
    # Each of these cost an SDK a chunk, or all of the answer.
    yield _case(form, "with-a-byte-order-mark", played(b"\xef\xbb\xbf" + body))
    yield _case(form, "with-an-empty-event", played(spoken + b"data:\n\n" + b"data: \n\n" + ending))
    yield _case(form, "with-one-unreadable-event", played(spoken + HALF + b"\n\n" + ending))
    finish = events(form.documents)
    yield _case(form, "without-the-last-blank-line", played(finish[:-1]), finish)


def _with_choices(form: Form) -> Iterator[Whole]:
    """Where the finish reason is the end, and [DONE] comes after it."""
    finish = events(form.documents)
    yield _case(form, "without-done", played(finish), finish)
    yield _case(form, "closed-before-done", [*start(form.documents), End.FIN], finish)
    yield _case(form, "reset-before-done", [*start(form.documents), PAUSE, End.RST], finish)
    yield _case(form, "with-half-of-done", played(bytes_of(form)[:-1]), bytes_of(form)[:-1])
    nulls = [{**document, "error": None} for document in form.documents]
    yield _case(form, "with-null-errors", played(events(nulls) + DONE), events(nulls) + DONE, document=nulls)


def _with_patience(form: Form) -> Iterator[Whole]:
    """Where somebody has to end what the upstream leaves open."""
    yield _case(form, "left-open-after-done", [*said_to_the_end(form), End.STALL])
    finish = events(form.documents)
    yield _case(form, "left-open-before-done", [*start(form.documents), End.STALL], finish, prefix="/stalling")


_VARIANTS: Sequence[tuple[Callable[[Form], Iterator[Whole]], tuple[str, ...]]] = [
    (_everywhere, tuple(form.name for form in FORMS)),
    (_with_choices, CHOICES),
    (_with_patience, ("chat", "completions")),
]

WHOLE_STREAMS: Sequence[Whole] = [
    *(case for form in FORMS for variant, names in _VARIANTS if form.name in names for case in variant(form)),
    *SECOND_ATTEMPTS,
]
