"""JMESPath, compiled once and never raising: the `json` key of rules and the `{json.EXPR}` of templates.

Owns the one place that imports jmespath. Knows no rule. Called by `match` and `template`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as attribute
from typing import Any

import jmespath  # type: ignore[import-untyped, unused-ignore]
from jmespath.functions import Functions  # type: ignore[import-untyped, unused-ignore]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; equal if written alike."""

    source: str
    _compiled: Any = attribute(compare=False, repr=False)
    _steps: tuple[str | int, ...] | None = attribute(compare=False, repr=False)
    """The expression as a plain path, if it is one: nearly all are, and walking costs a tenth of jmespath's visitor."""

    @property
    def field(self) -> str | None:
        """The key that the document must have for anything to be found; None where that cannot be said."""
        first = self._steps[0] if self._steps else None
        return first if isinstance(first, str) else None

    def find(self, document: object) -> object:
        """What the expression finds; None (null) if it finds nothing or fails, e.g. `length(@)` of a number."""
        if self._steps is not None:
            return _walk(document, self._steps)
        try:
            return self._compiled.search(document)
        except Exception:  # noqa: BLE001 - jmespath lets TypeError and others of its Python functions through
            return None


def compile(source: str) -> Expression:
    """Compile a JMESPath expression. Raises ValueError with a reason of one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            compiled = jmespath.compile(source)
    except Warning:
        # A JSON literal that is no JSON is read as a string for the sake of old scripts.
        raise ValueError("`…` is no JSON; a text is written '…'") from None
    except ValueError as error:
        reason = str(error).splitlines()[0].strip()
        raise ValueError(reason.removesuffix(", for expression:").removesuffix(":")) from None
    for name in _functions(compiled.parsed):
        if name not in Functions.FUNCTION_TABLE:
            raise ValueError(f"there is no function {name}()")
    return Expression(source, compiled, _path(compiled.parsed))


def _walk(value: object, steps: tuple[str | int, ...]) -> object:
    for step in steps:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, dict) else None
        elif isinstance(value, list) and -len(value) <= step < len(value):
            value = value[step]
        else:
            return None
    return value


def _path(node: Any) -> tuple[str | int, ...] | None:
    """The steps of `a.b[0].c` from jmespath's syntax tree; None for anything that is more than a path."""
    match node["type"]:
        case "current":
            return ()
        case "field" | "index":
            return (node["value"],)
        case "subexpression" | "index_expression":
            parts = [_path(child) for child in node["children"]]
            return tuple(step for part in parts for step in part or ()) if None not in parts else None
    return None


def _functions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "function_expression":
            yield node["value"]
        for child in node.get("children", ()):
            yield from _functions(child)
