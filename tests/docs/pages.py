"""The tables in README and docs that are made from the code.

    python tests/docs/pages.py      rewrites them

`test_pages.py` holds the files to what this makes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import UnionType
from typing import get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from postel.core.fault import BASE
from postel.settings import PerRoute, Route, Settings, env_name, flag_name
from tests.docs import dialects
from tests.library import built_in

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- made from the code: {} -->", "<!-- end -->"


def faults() -> str:
    """The fault table in the dialect `openai`; `client_closed` is never told to anybody."""
    loaded = built_in()
    dialect = loaded.dialects["openai"]
    lines = ["| fault | status | type | code | retried | default `Retry-After` |", "| --- " * 6 + "|"]
    for fault in BASE:
        if fault != "client_closed":
            terms = dialect.terms(fault, loaded.rules.faults)
            wait = f"{terms.retry_after:g} s" if terms.retry_after else ""
            retried = "yes" if terms.retryable else "no"
            lines.append(f"| `{fault}` | {terms.status} | `{terms.type}` | `{terms.code}` | {retried} | {wait} |")
    return "\n".join(lines)


def settings() -> str:
    """What is set for the whole deployment."""
    return _flags(name for name in Settings.model_fields if name not in PerRoute.model_fields)


def per_route() -> str:
    """What a route may set too."""
    return _flags(PerRoute.model_fields)


def _flags(names: Iterable[str]) -> str:
    """Settings with their flag, environment variable, default and meaning."""
    lines = ["| flag and environment | default | meaning |", "| --- " * 3 + "|"]
    for name in names:
        field = Settings.model_fields[name]
        flag = f"`{flag_name(name)}` `{env_name(name)}`" if name != "routes" else "`routes:` in the config file"
        lines.append(f"| {flag} | {_default(field)} | {field.description}{_choices(field.annotation)} |")
    return "\n".join(lines)


def routes() -> str:
    """The keys of one entry of `routes` that are not the deployment's as well."""
    lines = ["| key | default | meaning |", "| --- " * 3 + "|"]
    for name, field in Route.model_fields.items():
        if name not in PerRoute.model_fields:
            lines.append(f"| `{name}` | {_default(field)} | {field.description} |")
    return "\n".join(lines)


def _default(field: FieldInfo) -> str:
    match field.default:
        case value if value is PydanticUndefined:
            return "required"
        case None:
            return "off" if "`off`" in (field.description or "") else "none"
        case ():
            return "none"
        case bool() as value:
            return "on" if value else "off"
        case tuple() as value:
            return " ".join(f"`{item}`" for item in value)
        case int() as value if value and value % 1024 == 0:
            return f"{value // 1024}k"
        case float() | int() as value:
            return f"{value:g}"
    return f"`{field.default}`"


def _choices(annotation: object) -> str:
    several = get_args(annotation) if get_origin(annotation) is not UnionType else ()
    words = [value for value in several if isinstance(value, str)]
    return f" One of {', '.join(f'`{word}`' for word in words)}." if len(words) > 1 else ""


PAGES: Mapping[str, Mapping[str, Callable[[], str]]] = {
    "README.md": {"faults": faults},
    "docs/settings.md": {"settings": settings, "per route": per_route, "routes": routes},
    **dialects.pages(),
}


def made(page: str) -> str:
    """The page as it should be."""
    text = (ROOT / page).read_text("utf-8")
    for name, table in PAGES[page].items():
        begin = BEGIN.format(name)
        head, _, rest = text.partition(begin)
        text = f"{head}{begin}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"
    return text


if __name__ == "__main__":
    for page in PAGES:
        (ROOT / page).write_text(made(page), "utf-8")
