from pathlib import Path
from typing import Any

import pytest

from postel.core.evidence import Phase
from postel.core.rules import DEFAULT_STATUSES, Rule
from postel.core.template import Template
from postel.rulefile.compiling import CompiledPack, compile_pack
from postel.rulefile.document import Document
from postel.rulefile.schema import PackFile


def compiled(path: Path, *told: str) -> CompiledPack:
    document = Document(path)
    file = document.validate(PackFile)
    assert file is not None
    return compile_pack(document, file, "user", told)


def rule(write: Any, when: str, head: str = "", then: str = "{fault: internal}") -> Rule:
    text = f"version: 1\npack: acme\n{head}\nrules:\n- {{id: acme-x, when: {when}, then: {then}}}\n"
    pack = compiled(write("acme.yaml", text))
    assert [] == pack.document.findings
    return pack.pack.rules[0]


def told(rule: Rule) -> list[tuple[Phase, list[str]]]:
    return [
        (alternative.phase, [condition.label for condition in alternative.conditions])
        for alternative in rule.alternatives
    ]


def test_the_sample_pack_compiles(acme: Path) -> None:
    pack = compiled(acme)

    assert [] == pack.document.findings
    assert "acme" == pack.pack.name
    assert 3600 == pack.rows["gpu_quota_exhausted"].retry_after
    assert {"gpu_quota_exhausted": "quota_exhausted"} == pack.parents


def test_a_rule_of_two_phases_is_asked_in_both(write: Any) -> None:
    assert [
        (Phase.RESPONSE, ['type is "x"']),
        (Phase.EVENT, ['type is "x"']),
    ] == told(rule(write, "{phase: [response, event], type: x}"))


def test_conditions_of_the_pack_stand_beside_every_rule_in_the_phases_that_have_them(write: Any) -> None:
    head = "when: {headers: {Server: acme}, content_type: text/html}"

    assert [
        (Phase.RESPONSE, ['headers server is "acme"', 'content_type is "text/html"', 'type is "x"']),
        (Phase.EVENT, ['headers server is "acme"', 'type is "x"']),
    ] == told(rule(write, "{phase: [response, event], type: x}", head))
    assert [(Phase.TRANSPORT, ['cause is "dns"'])] == told(rule(write, "{phase: transport, cause: dns}", head))


def test_alternatives_of_the_pack_and_of_the_rule_are_combined(write: Any) -> None:
    labels = told(rule(write, "[{type: x}, {type: y}]", "when: [{headers: {a: '1'}}, {headers: {b: '1'}}]"))

    assert [
        ['headers a is "1"', 'type is "x"'],
        ['headers b is "1"', 'type is "x"'],
        ['headers a is "1"', 'type is "y"'],
        ['headers b is "1"', 'type is "y"'],
    ] == [conditions for _, conditions in labels]


def test_texts_are_searched_after_values_are_compared(write: Any) -> None:
    ((_, labels),) = told(rule(write, "{message: '^m', type: x, body: '^b', json: {a: 1}}"))

    assert ['type is "x"', "json a is 1", 'message has ["^m"]', 'body has ["^b"]'] == labels


@pytest.mark.parametrize(
    ("when", "head", "statuses"),
    [
        ("{type: x}", "", DEFAULT_STATUSES),
        ("{status: 200}", "", {200}),
        ("{type: x}", "when: {status: [200, 500]}", {200, 500}),
        ("{status: 5xx}", "when: {status: [200, 500]}", {500}),
    ],
)
def test_a_rule_judges_4xx_and_5xx_unless_it_or_its_pack_names_others(
    write: Any, when: str, head: str, statuses: set[int]
) -> None:
    assert statuses == rule(write, when, head).alternatives[0].statuses


def test_what_a_rule_says_is_compiled(write: Any) -> None:
    then = rule(
        write,
        "{status: 500, message: '^x (?P<n>y)'}",
        then="{fault: overloaded, message: 'no {n}', param: model, retry_after: 1m, details: {a: '{json.a}', b: 2}}",
    ).then

    assert ("overloaded", 60, 2) == (then.fault, then.retry_after, then.details["b"])
    assert isinstance(then.details["a"], Template)
    assert rule(write, "{status: 500}", then="pass").then.fault is None


def test_a_group_may_come_from_any_alternative_and_any_expression(write: Any) -> None:
    when = "[{status: 500, type: {matches: '(?P<a>x)'}}, {status: 500, message: [m, '(?P<b>y)']}]"

    assert rule(write, when, then="{fault: internal, message: '{a} {b}'}").then.message is not None


def test_a_fault_that_only_a_dialect_adds_may_be_named(write: Any) -> None:
    path = write(
        "acme.yaml", "version: 1\npack: acme\nrules: [{id: acme-x, when: {status: 403}, then: {fault: tier}}]\n"
    )

    assert ["unknown fault `tier`"] == [finding.text for finding in compiled(path).document.findings]
    assert [] == compiled(path, "tier").document.findings


@pytest.mark.parametrize(
    ("when", "says"),
    [
        ("{message: x}", "`message` says what, but nothing says where"),
        ("{path: /x, method: POST, body: x}", "`body` says what, but nothing says where"),
        ("{phase: [end, response], headers: {a: b}, body: x}", None),
        ("{phase: end, body: x}", None),
        ("{phase: event, stray: true, body: x}", None),
        ("{phase: event, event: error, message: x}", None),
        ("{content_type: text/html, body: x}", None),
        ("{phase: transport, cause: tls, detail: x}", None),
        ("{phase: transport, detail: x}", "`detail` says what, but nothing says where"),
        ("{phase: end, body: x, message: y}", "phase `end` has no key `message`"),
        ("{stray: true}", "phase `response` (the default) has no key `stray`"),
    ],
)
def test_a_text_says_what_only_beside_a_where(write: Any, when: str, says: str | None) -> None:
    path = write("acme.yaml", f"version: 1\npack: acme\nrules: [{{id: acme-x, when: {when}, then: pass}}]\n")

    assert [says] * bool(says) == [finding.text for finding in compiled(path).document.findings]


def test_what_cannot_be_read_is_not_called_missing_as_well(write: Any) -> None:
    path = write(
        "acme.yaml",
        """
        version: 1
        pack: acme
        faults: {gpu: {is: internal, status: 900}}
        rules:
          - {id: acme-x, when: {status: x, message: '(?P<n>a)'}, then: {fault: gpu, message: '{n}'}}
          - {id: acme-y, when: {status: 500, message: '(?P<n'}, then: {fault: internal, message: '{n}'}}
        """,
    )

    assert [
        "`status` is 900",
        "no answer that is judged has this status",
        "RE2 refuses the expression: invalid named capture group in `(?P<n`",
    ] == [finding.text for finding in compiled(path).document.findings]
