"""docs/rules/ says what the rule files say."""

from __future__ import annotations

from tests.docs.rule_pages import FOLDER, pages


def test_the_catalogue_is_what_the_rule_files_make_of_it() -> None:
    made = pages()
    written = {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.md")}

    advice = "run: python tests/docs/rule_pages.py"
    assert set(made) == set(written), advice
    assert [] == [name for name in made if made[name] != written[name]], advice
