"""The catalogue: what is recognised and how it is told, to look up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from postel import catalogue
from postel.core.fault import BASE
from postel.rulefile.load import Loaded, gather
from tests.library import built_in

LIBRARY = Path(__file__).parent / "rulefile" / "library"
ACME = Path(__file__).parent / "rulefile" / "packs" / "acme.yaml"


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    return gather([ACME], library=LIBRARY)


def test_rules_are_listed_as_they_are_asked_with_all_that_people_should_know(loaded: Loaded) -> None:
    entries = catalogue.rules(loaded)

    assert [entry.group for entry in entries] == sorted(
        (entry.group for entry in entries),
        key=["user", "engines", "providers", "proxies", "generic", "transport"].index,
    )
    context = next(entry for entry in entries if entry.id == "acme-context-length")
    assert ("acme", "user", "context_length_exceeded", 400) == (
        context.pack,
        context.group,
        context.fault,
        context.status,
    )
    assert str(ACME) == context.file
    assert f"- id: {context.id}" in ACME.read_text("utf-8").splitlines()[context.line - 1]
    assert "{server: {matches: '^acme'}}" in context.common


def test_a_condition_is_shown_as_it_was_written(loaded: Loaded) -> None:
    written = {
        rule["id"]: rule
        for path in (ACME, *LIBRARY.rglob("*.yaml"))
        for rule in yaml.safe_load(path.read_text("utf-8")).get("rules", ())
    }

    for entry in catalogue.rules(loaded):
        assert written[entry.id]["when"] == yaml.safe_load(entry.when)
        assert written[entry.id]["then"] == yaml.safe_load(entry.then)


def test_a_rule_that_lets_pass_tells_no_fault(loaded: Loaded) -> None:
    entry = next(entry for entry in catalogue.rules(loaded) if entry.id == "acme-not-ready")

    assert (None, None) == (entry.fault, entry.status)
    assert "passes" in catalogue.shown([entry], "text")


def test_every_base_fault_is_listed_and_the_finer_ones_with_their_parent(loaded: Loaded) -> None:
    entries = {entry.fault: entry for entry in catalogue.faults(loaded)}

    assert list(BASE) == list(entries)[: len(BASE)]
    assert "quota_exhausted" == entries["gpu_quota_exhausted"].is_
    assert (1, 3600) == (entries["gpu_quota_exhausted"].rules, entries["gpu_quota_exhausted"].retry_after)
    assert (500, "server_error", "internal_error", True) == (
        entries["internal"].status,
        entries["internal"].type,
        entries["internal"].code,
        entries["internal"].retryable,
    )
    assert 502 == {entry.fault: entry for entry in catalogue.faults(loaded, "strict")}["internal"].status


def test_dialects_say_what_they_inherit_and_tell_otherwise(loaded: Loaded) -> None:
    openai, strict = catalogue.dialects(loaded)

    assert ("openai", None) == (openai.dialect, openai.inherits)
    assert ("strict", "openai", ("internal", "tier_not_allowed")) == (strict.dialect, strict.inherits, strict.faults)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["ACME", "gpu"], {"acme-gpu-quota"}),
        (["overloaded", "beta"], set()),
        (["model_loading"], {"beta-loading", "acme-starting"}),
        ([r"^model is loading"], {"beta-loading"}),
    ],
)
def test_a_search_finds_every_word_anywhere_in_a_rule(loaded: Loaded, words: list[str], found: set[str]) -> None:
    assert found == {entry.id for entry in catalogue.search(catalogue.rules(loaded), words)}


def test_json_has_every_field_under_its_name(loaded: Loaded) -> None:
    (entry,) = json.loads(catalogue.shown(catalogue.search(catalogue.faults(loaded), ["gpu"]), "json"))

    assert ("gpu_quota_exhausted", "quota_exhausted") == (entry["fault"], entry["is"])


def test_markdown_is_a_table_whose_cells_stay_cells(loaded: Loaded) -> None:
    head, rule, *rows = catalogue.shown(catalogue.rules(loaded), "markdown").splitlines()

    assert head.count("|") == rule.count("|")
    assert {head.count("|")} == {row.replace("\\|", "").count("|") for row in rows}
    assert len(catalogue.rules(loaded)) == len(rows)


def test_text_is_aligned_and_nothing_is_nothing(loaded: Loaded) -> None:
    head, *rows = catalogue.shown(catalogue.faults(loaded), "text").splitlines()

    assert {row.index(" ") < head.index("STATUS") for row in rows} == {True}
    assert "" == catalogue.shown([], "text")
    assert "[]" == catalogue.shown([], "json")


def test_every_rule_of_the_library_says_what_happened() -> None:
    silent = [entry.id for entry in catalogue.rules(built_in()) if not entry.summary.strip()]

    assert [] == silent
