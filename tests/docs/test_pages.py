"""Documents say what the code does."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from postel.cli import main
from postel.core.evidence import Cause, Request
from postel.core.match import JsonKind
from postel.core.subject import PHASES
from postel.explain import capture
from postel.misbehave import SCRIPTS
from postel.rulefile.case_schema import Case, Expect, Given
from postel.rulefile.dialect_schema import DialectFile, SaysEntry
from postel.rulefile.schema import Condition, FinerFault, PackFile, Rule, Then
from postel.run import normaliser
from postel.settings import Settings, flag_name, load
from tests.docs.pages import PAGES, ROOT, made


def _documents() -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in listed.split() if (ROOT / name).exists()]


@pytest.mark.parametrize("page", PAGES)
def test_tables_are_what_the_code_makes_of_them(page: str) -> None:
    assert made(page) == (ROOT / page).read_text("utf-8"), "run: python tests/docs/pages.py"


def _prose(text: str) -> str:
    """A document without its code, in which an expression may look like a link."""
    return re.sub(r"(?ms)^```.*?^```$", "", text)


def test_every_link_between_documents_leads_somewhere() -> None:
    dead = [
        f"{document.relative_to(ROOT)}: {target}"
        for document in _documents()
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", _prose(document.read_text("utf-8")))
        if "://" not in target and not (document.parent / target).exists()
    ]

    assert [] == dead


def test_the_answer_in_the_readme_is_what_postel_says() -> None:
    page = SCRIPTS["nginx-502"].steps[0]
    assert isinstance(page, bytes)
    made_by = normaliser(load({"upstream": "http://localhost:1"}, {}))[0]
    reply = made_by.answer(capture(page, Request()), request_id="0d63f7be-f1b7-4a4c-9c58-9e4a0b1f3c55", now=0)

    assert reply
    for shown in (reply.body.decode(), *(f"{name}: {value}" for name, value in reply.headers)):
        assert shown in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    "words",
    [PHASES, [cause.value for cause in Cause], get_args(JsonKind)],
    ids=["conditions", "causes", "kinds"],
)
def test_every_word_of_the_grammar_is_in_its_reference(words: Iterable[str]) -> None:
    page = (ROOT / "docs/rules.md").read_text("utf-8")

    assert [] == [word for word in words if f"`{word}`" not in page]


@pytest.mark.parametrize(
    "model", [PackFile, Rule, Condition, Then, FinerFault, Case, Given, Expect, DialectFile, SaysEntry]
)
def test_every_key_of_a_file_is_in_its_reference(model: type[BaseModel]) -> None:
    page = (ROOT / "docs/rules.md").read_text("utf-8")

    assert [] == [name for name, field in model.model_fields.items() if f"`{field.alias or name}`" not in page]


def test_every_setting_is_a_flag_of_run(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--help"])
    shown = capsys.readouterr().out

    assert [] == [name for name in Settings.model_fields if name != "routes" and flag_name(name) not in shown]


def test_every_verb_named_in_the_readme_exists(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    verbs = set(re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE))
    named = set(re.findall(r"`postel (\w+)", (ROOT / "README.md").read_text("utf-8")))

    assert named
    assert set() == named - verbs
