"""What is healthy comes out as it went in: no rule of the library takes a word in it for a failure."""

import functools
from collections import Counter

import pytest

from postel.core.evidence import BODY_LIMIT
from postel.core.normalise import Normaliser
from postel.core.subject import Subject
from postel.rulefile.case_schema import Given
from postel.rulefile.load import Loaded, load_rules
from postel.rulefile.play import Played, play
from tests.healthy.samples import Sample, files, mapping, samples

LEAST = 600


@functools.cache
def library() -> Loaded:
    return load_rules(lean=True)


@functools.cache
def normaliser() -> Normaliser:
    return Normaliser(library().rules, library().dialects["openai"])


def touched(sample: Sample) -> str | None:
    """What Postel would do to an answer, and which rule said so; None for nothing."""
    if sample.is_passthrough and sample.status >= 400:
        return None  # no rule is asked; that live traffic comes by is in tests/wire/test_healthy_set.py
    played = play(sample.given, normaliser())
    return f"{sample.name}: {why}" if (why := changed(played)) else None


def changed(played: Played) -> str | None:
    if played.reply is not None:
        return f"{played.reply.rule} made it {played.reply.fault}"
    if not played.as_given:
        return f"the bytes are not those given: {played.body!r}"
    # What is cut off at the limit is not judged, whatever a rule would make of it.
    subjects = [Subject(evidence) for evidence in played.judged if len(evidence.body) < BODY_LIMIT]
    verdicts = [verdict for subject in subjects if (verdict := library().rules.classify(subject))]
    return next((f"{verdict.rule} matched" for verdict in verdicts if verdict.fault is not None), None)


@pytest.mark.parametrize("family", [path.stem for path in files()])
def test_no_rule_takes_a_healthy_answer_for_a_failure(family: str) -> None:
    found = [why for sample in samples() if sample.family == family and (why := touched(sample))]

    assert not found, "\n".join(found)


def test_the_set_is_large_and_no_name_is_there_twice() -> None:
    names = Counter(sample.name for sample in samples())

    assert len(samples()) >= LEAST
    assert [] == [name for name, times in names.items() if times > 1]


def test_each_answer_is_another_one() -> None:
    seen = Counter((s.target, s.request.method, s.status, s.headers, s.writes) for s in samples())

    assert [] == [each for each, times in seen.items() if times > 1]


def test_each_file_says_where_its_shapes_are_from() -> None:
    silent = [path.name for path in files() if not path.read_text(encoding="utf-8").startswith("# Shapes: ")]

    assert not silent


def test_a_touched_answer_would_be_told() -> None:
    error = mapping({"status": 200, "json": {"error": {"message": "CUDA out of memory", "type": "server_error"}}})

    assert "made it" in (changed(play(Given.model_validate(error), normaliser())) or "")
