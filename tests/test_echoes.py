"""The client's own words prove nothing: a prompt may quote any error there is, and no verdict changes.

Every pattern of the whole library is planted, by a text that it really finds, in a prompt; an upstream that fails for
another reason quotes that prompt in each place where upstreams quote prompts.
"""

from __future__ import annotations

import html
import json
from collections.abc import Callable, Iterator
from functools import cache

import pytest

from postel.core.evidence import Evidence, Headers, Phase, Request
from postel.core.match import TextCondition
from postel.core.normalise import Normaliser
from postel.core.regex import Pattern, Prefilter
from postel.core.rules import RuleSet, Verdict
from postel.core.subject import Subject
from postel.rulefile.check import Survey, survey
from postel.rulefile.play import play

LONGEST = 300
NEUTRAL = "a quiet walk by the lake on a mild day in May "


@cache
def whole_library() -> Survey:
    return survey()


def texts() -> Iterator[tuple[str, str]]:
    """Each pattern that looks at words an upstream may copy, with a text of the cases in which it is found."""
    found = whole_library()
    rules = found.loaded.rules
    patterns = list(patterns_of(rules))
    prefilter = Prefilter(patterns)
    seen: set[int] = set()
    for book in found.books:
        for case in book.cases:
            settings = case.given.settings
            judge = Normaliser(rules.keeping(settings.packs), found.loaded.dialects[settings.dialect])
            for evidence in play(case.given, judge).judged:
                subject = Subject(evidence)
                for text in (subject.reading.message or "", subject.body):
                    for at in set(prefilter.possible(text)) - seen:
                        match = patterns[at].search(text)
                        if match is not None and 3 < len(match.group() or "") <= LONGEST:
                            seen.add(at)
                            yield patterns[at].source, match.group() or ""


def patterns_of(rules: RuleSet) -> Iterator[Pattern]:
    """The patterns that look at words which an upstream may copy."""
    by_source = {
        pattern.source: pattern
        for rule in rules.known.values()
        for alternative in rule.alternatives
        for condition in alternative.conditions
        if isinstance(condition, TextCondition) and condition.name in ("message", "body")
        for pattern in condition.patterns
    }
    yield from by_source.values()


def prompt(words: str) -> str:
    return f"Here is something that I read: {words} (and so on, as you know)"


def request(words: str) -> Request:
    body = {"model": "m", "messages": [{"role": "user", "content": prompt(words)}]}
    return Request(body=json.dumps(body).encode())


def answer(status: int, body: str, content_type: str, words: str) -> Evidence:
    headers = Headers((("content-type", content_type),))
    return Evidence(Phase.RESPONSE, request(words), status=status, headers=headers, body=body.encode())


def in_a_message(words: str) -> Evidence:
    error = {
        "message": f"Cannot use this content: '{prompt(words)}'",
        "type": "BadRequestError",
        "param": None,
        "code": 400,
    }
    return answer(400, json.dumps({"error": error}), "application/json", words)


def in_the_input_of_a_validator(words: str) -> Evidence:
    detail = {"type": "string_type", "loc": ["body", "messages", 0, "content"], "msg": "Input should be a valid string"}
    return answer(422, json.dumps({"detail": [{**detail, "input": prompt(words)}]}), "application/json", words)


def in_plain_text(words: str) -> Evidence:
    return answer(500, f"Internal Server Error: {prompt(words)}", "text/plain", words)


def in_a_page(words: str) -> Evidence:
    said = html.escape(f"We cannot do this: {prompt(words)}")
    page = f"<html><head><title>Oops</title></head><body><h1>Oops</h1><p>{said}</p></body></html>"
    return answer(500, page, "text/html", words)


def in_an_event(words: str) -> Evidence:
    data = json.dumps({"error": {"message": f"Cannot go on after '{prompt(words)}'", "type": "ServerError"}})
    return Evidence(Phase.EVENT, request(words), status=200, body=data.encode(), readable=True)


def in_the_name_of_a_model(words: str) -> Evidence:
    words = words.translate(dict.fromkeys(map(ord, "'\"`\n")))[:60]  # as long and as plain as a name may be
    body = json.dumps(
        {"error": {"message": f"The model `{words}` does not exist.", "type": "NotFoundError", "code": 404}}
    )
    asked = Request(body=json.dumps({"model": words, "messages": []}).encode())
    headers = Headers((("content-type", "application/json"),))
    return Evidence(Phase.RESPONSE, asked, status=404, headers=headers, body=body.encode())


def as_a_value(words: str) -> Evidence:
    body = json.dumps({"error": {"message": f"Invalid value: '{words}'. Supported values are: 'text'.", "type": "x"}})
    asked = Request(body=json.dumps({"messages": [{"content": [{"type": words}]}]}).encode())
    headers = Headers((("content-type", "application/json"),))
    return Evidence(Phase.RESPONSE, asked, status=400, headers=headers, body=body.encode())


PLACES = [
    in_a_message,
    in_the_input_of_a_validator,
    in_plain_text,
    in_a_page,
    in_an_event,
    in_the_name_of_a_model,
    as_a_value,
]


@cache
def planted() -> tuple[tuple[str, str], ...]:
    return tuple(texts())


@pytest.mark.parametrize("place", PLACES)
def test_no_text_that_any_rule_looks_for_changes_a_verdict_from_within_a_prompt(
    place: Callable[[str], Evidence],
) -> None:
    rules = whole_library().loaded.rules
    wrong = {}
    for source, words in planted():
        neutral = (NEUTRAL * 10)[: len(words)]
        expected, got = rules.classify(place(neutral)), rules.classify(place(words))
        if fault(got) != fault(expected):
            wrong[source] = (words, got.rule if got else None)

    assert {} == wrong


def fault(verdict: Verdict | None) -> str | None:
    return verdict.fault if verdict else None


def test_nearly_every_pattern_is_planted() -> None:
    assert len(planted()) > 0.9 * len(list(patterns_of(whole_library().loaded.rules)))
