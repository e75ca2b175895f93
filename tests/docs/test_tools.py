"""docs/tools.md shows what the commands really print."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from tests.docs.pages import ROOT

PAGE = (ROOT / "docs/tools.md").read_text("utf-8")
SHOWN = [
    (command, output)
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for command, output in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


@pytest.mark.parametrize(("command", "output"), SHOWN, ids=[command for command, _ in SHOWN])
@pytest.mark.timeout(180)
def test_a_command_prints_what_the_page_shows(command: str, output: str) -> None:
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "addon"), "PYTHON": sys.executable}
    shell = f'postel() {{ "$PYTHON" -m postel "$@"; }}; {command}'
    ran = subprocess.run(
        ["bash", "-c", shell], cwd=ROOT / "docs/examples", env=environ, capture_output=True, text=True, check=False
    )

    assert output == ran.stdout, ran.stderr


def test_the_page_shows_commands() -> None:
    assert len(SHOWN) > 5
