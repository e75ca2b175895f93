"""Streams that fail before there is a word for the user, and so become a status: each cause in each form."""

from collections.abc import Iterator, Sequence

from postel.misbehave import End, Step, answer, chunk
from tests.clients.broken_streams import LAST, start
from tests.clients.case import LIMIT, REQUEST, SERVER, Failure, Whole, error
from tests.clients.forms import DONE, FAILED, FORMS, RESPONSES_FORM, RESPONSES_HELPER_FORM, Form, events
from tests.clients.refusals import TOO_LONG


def _event(**fields: object) -> Step:
    return chunk(f"data: {error(**fields)}\n\n") + chunk(DONE) + LAST


BUSY = _event(message="The model is overloaded. Please try again later.", type="overloaded", param=None, code=503)
LIMITED = _event(message="Rate limit reached. Please try again in 7s.", type="requests", code="rate_limit_exceeded")


def _failures(form: Form) -> Iterator[Failure]:
    yield Failure(
        form.case("begins-with-an-error-of-the-clients"),
        [*start([]), _event(message=TOO_LONG, type="BadRequestError", param=None, code=400)],
        *(400, REQUEST, "context_length_exceeded"),
        param="messages",
        operation=form.operation,
        says=("maximum context length", "4096"),
    )
    yield Failure(
        form.case("begins-with-an-error-of-the-servers"),
        [*start([]), BUSY],
        *(503, SERVER, "server_is_overloaded"),
        operation=form.operation,
        retryable=True,
        wait=(5, 7),
        max_retries=0,
        says=("overloaded",),
    )
    yield Failure(
        form.case("opens-and-is-limited"),
        [*start(form.opening), LIMITED],
        *(429, LIMIT, "rate_limit_exceeded"),
        operation=form.operation,
        retryable=True,
        wait=(7, 7),
        max_retries=0,
        says=("Rate limit reached",),
    )
    yield Failure(
        form.case("opens-and-closes"),
        [*start(form.opening), End.FIN],
        *(502, SERVER, "stream_interrupted"),
        operation=form.operation,
        retryable=True,
        max_retries=1,
    )
    yield Failure(
        form.case("opens-and-ends"),
        [*start(form.opening), LAST],
        *(502, SERVER, "stream_interrupted"),
        operation=form.operation,
        retryable=True,
        max_retries=0,
    )
    # Refused by the first of two clocks: the one until the head, or the one until there is a word.
    yield Failure(
        form.case("opens-and-stalls"),
        [*start(form.opening), End.STALL],
        *(504, SERVER, ("stream_stalled", "timeout")),
        operation=form.operation,
        prefix="/impatient",
        retryable=True,
        max_retries=0,
    )
    yield Failure(
        form.case("is-empty"),
        [*start([]), LAST],
        *(502, SERVER, ("stream_interrupted", "bad_gateway")),
        operation=form.operation,
        retryable=True,
        max_retries=1,
    )
    yield Failure(
        form.case("is-only-done"),
        [*start([]), chunk(DONE) + LAST],
        *(502, SERVER, ("stream_interrupted", "bad_gateway")),
        operation=form.operation,
        retryable=True,
        max_retries=0,
    )
    yield Failure(
        form.case("is-an-error-under-200"),
        [answer("200 OK", error(message="backend failed", code=500))],
        *(500, SERVER, "internal_error"),
        operation=form.operation,
        retryable=True,
        max_retries=0,
        says=("backend failed",),
    )


# As the first event, `response.failed` would crash the SDKs' helper; later, no SDK but the AI SDK raises on it.
_FAILED_AT_ONCE = [
    Failure(
        form.case("opens-and-fails"),
        [*start([*form.opening, *FAILED]), LAST],
        *(500, SERVER, "internal_error"),
        operation=form.operation,
        retryable=True,
        max_retries=0,
    )
    for form in (RESPONSES_FORM, RESPONSES_HELPER_FORM)
]

UNOPENED_STREAMS: Sequence[Failure] = [
    *(failure for form in FORMS for failure in _failures(form)),
    *_FAILED_AT_ONCE,
]

# Without Postel an SDK never asks again once it has a 200, and its user has no text and no error.
SECOND_ATTEMPTS: Sequence[Whole] = [
    Whole(
        form.case("at-the-second-attempt"),
        [*start(form.documents), chunk(form.done) + LAST if form.done else LAST],
        form.documents,
        first=[*start(form.opening), End.FIN],
        operation=form.operation,
        passed=events(form.documents) + form.done,
    )
    for form in FORMS
]
