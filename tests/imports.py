"""Reads, without running anything, what each module of the package imports. Used by the tests of the tree itself."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "addon" / "postel"


@dataclass(frozen=True, slots=True)
class Import:
    """`target` is the full dotted name: `from a import b` is `a.b`, whether b is a module or a name in it."""

    module: str
    line: int
    target: str

    @property
    def top(self) -> str:
        return self.target.partition(".")[0]

    @property
    def is_stdlib(self) -> bool:
        return self.top in sys.stdlib_module_names


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name; a folder's `__init__.py` goes by the folder's name."""
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return named


def imports_of(module: str, source: str) -> Iterator[Import]:
    """Every import statement, wherever it stands: in functions and under TYPE_CHECKING too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(module, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield Import(module, node.lineno, f"{'.' * node.level}{node.module or ''}.{alias.name}")


def all_imports() -> Iterator[Import]:
    for module, path in modules().items():
        yield from imports_of(module, path.read_text(encoding="utf-8"))
