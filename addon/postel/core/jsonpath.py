"""JMESPath, compiled once and never raising: the `json` key of rules and the `{json.EXPR}` of templates.

Owns the one place that imports jmespath. Knows no rule. Called by `match` and `template`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jmespath  # type: ignore[import-untyped, unused-ignore]
from jmespath.functions import Functions  # type: ignore[import-untyped, unused-ignore]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled expression; equal if written alike."""

    source: str
    _compiled: Any = field(compare=False, repr=False)

    def find(self, document: object) -> object:
        """What the expression finds; None (null) if it finds nothing or fails, e.g. `length(@)` of a number."""
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
    return Expression(source, compiled)


def _functions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if node.get("type") == "function_expression":
            yield node["value"]
        for child in node.get("children", ()):
            yield from _functions(child)
