"""Where the built-in rules are, and which files a user's path stands for.

Owns the layout of the library and of a folder of rules. Reads no file. Called by `load` and `check`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from postel.core.rules import RuleGroup

CASES = ".cases.yaml"
_SUFFIXES = (".yaml", ".yml")


def library_path() -> Path:
    """The built-in library: inside the package where a wheel installed it, else beside `addon/` in the repository."""
    package = Path(__file__).parents[1]
    installed = package / "rules"
    return installed if installed.is_dir() else package.parents[1] / "rules"


def rule_files(folder: Path) -> list[Path]:
    """Packs and dialects in a folder and its subfolders, by file name.

    Cases are left out, and so is what begins with a dot: a mounted ConfigMap has every file twice, once in `..data`.
    """
    found = (path for path in folder.rglob("*") if path.suffix in _SUFFIXES and not path.name.endswith(CASES))
    inside = ((path.relative_to(folder), path) for path in found)
    return [path for name, path in sorted(inside) if not any(part.startswith(".") for part in name.parts)]


def library_files(library: Path) -> Iterator[tuple[Path, RuleGroup | None]]:
    """Every file of the library with its group: the folder it is in, `transport.yaml`; None for a dialect."""
    for path in rule_files(library):
        top = path.relative_to(library).parts[0].removesuffix(path.suffix)
        yield path, next((group for group in get_args(RuleGroup) if group == top), None)


def is_library(path: Path) -> bool:
    """Whether this is a whole library, and no folder of packs to stand before one."""
    return (path / "transport.yaml").is_file() and (path / "generic").is_dir()


def cases_of(path: Path) -> Path:
    """The cases beside a pack: `acme.yaml` -> `acme.cases.yaml`."""
    return path.with_name(path.stem + CASES)
