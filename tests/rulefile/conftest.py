"""Rule files for tests: the sample pack, a small library, and whatever a test writes."""

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

HERE = Path(__file__).parent

Write = Callable[[str, str], Path]


@pytest.fixture
def library() -> Path:
    """A library with one small pack in each group, so that no test depends on what Postel ships."""
    return HERE / "library"


@pytest.fixture
def acme() -> Path:
    """Everything a pack can say, with its cases beside it."""
    return HERE / "packs" / "acme.yaml"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a file below the test's own folder and answers with its path."""

    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip("\n"), encoding="utf-8")
        return path

    return written
