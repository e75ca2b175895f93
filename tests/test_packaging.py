"""What is installed: the wheel has all that the checkout has, and the lock files say exactly what comes with it."""

import re
import subprocess
import sys
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

import pytest

from tests.imports import ROOT, all_imports

LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
PIN = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>[a-z0-9.!+]+)(?: ; (?P<marker>.+))?")
IMPORTED_AS = {
    "google-re2": "re2",
    "prometheus-client": "prometheus_client",
    "pyyaml": "yaml",
}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared() -> set[str]:
    names = (re.match(r"[\w.-]+", entry) for entry in project()["dependencies"])
    return {canonical(name[0]) for name in names if name}


def project() -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return table


def requirements(lock: Path) -> list[str]:
    """One string for each requirement, its continued lines joined."""
    text = lock.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def pins(lock: Path) -> set[str]:
    return {re.split(r"\s+--hash=", line)[0] for line in requirements(lock)}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    (built,) = folder.glob("*.whl")
    return zipfile.ZipFile(built)


def test_the_wheel_holds_the_same_rule_files_as_the_checkout(wheel: zipfile.ZipFile) -> None:
    rules = {
        path.relative_to(ROOT).as_posix(): path.read_bytes() for path in (ROOT / "rules").rglob("*") if path.is_file()
    }

    assert rules
    packed = {
        name.removeprefix("postel/"): wheel.read(name) for name in wheel.namelist() if name.startswith("postel/rules/")
    }
    assert rules == packed


def test_the_wheel_holds_every_module_and_says_that_they_are_typed(wheel: zipfile.ZipFile) -> None:
    sources = {path.relative_to(ROOT / "addon").as_posix() for path in (ROOT / "addon" / "postel").rglob("*.py")}

    packed = set(wheel.namelist())
    assert sources | {"postel/py.typed"} == {name for name in packed if name.endswith((".py", "py.typed"))}


def test_the_wheel_installs_the_command_and_its_licence(wheel: zipfile.ZipFile) -> None:
    (info,) = {name.partition("/")[0] for name in wheel.namelist() if ".dist-info/" in name}
    metadata = HeaderParser().parsestr(wheel.read(f"{info}/METADATA").decode())

    assert "postel = postel.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert (ROOT / "LICENSE").read_bytes() == wheel.read(f"{info}/licenses/LICENSE")
    assert (project()["name"], "Apache-2.0", ">=3.12") == (
        metadata["Name"],
        metadata["License-Expression"],
        metadata["Requires-Python"],
    )


def test_everything_that_is_imported_is_declared_and_the_other_way_round() -> None:
    imported = {found.top for found in all_imports() if not found.is_stdlib} - {"postel"}
    imported = {"pydantic" if name == "pydantic_core" else name for name in imported}

    assert {IMPORTED_AS.get(name, name) for name in declared()} == imported


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_file_pins_each_package_by_hash_and_names_no_place_to_fetch_it_from(lock: Path) -> None:
    for line in requirements(lock):
        pin, *hashes = re.split(r"\s+--hash=", line.strip())
        assert PIN.fullmatch(pin), pin
        assert hashes, pin
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", each) for each in hashes), pin


def test_what_is_tested_is_what_runs() -> None:
    assert pins(ROOT / "requirements/run.txt") <= pins(ROOT / "requirements/dev.txt")


def test_every_declared_dependency_is_locked() -> None:
    locked = {pin.partition("==")[0] for pin in pins(ROOT / "requirements/run.txt")}

    assert declared() <= {canonical(name) for name in locked}
