"""The tables in README and docs that are made from the code.

    python tests/docs/pages.py      rewrites them

`test_pages.py` holds the files to what this makes.
"""

from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import get_args, get_origin

from pydantic_core import PydanticUndefined

from postel.core.fault import BASE
from postel.rulefile.load import load_rules
from postel.settings import Route, Settings, env_name, flag_name

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- made from the code: {} -->", "<!-- end -->"


def faults() -> str:
    """The fault table in the dialect `openai`; `client_closed` is never told to anybody."""
    loaded = load_rules([])
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
    """Every setting with its flag, its environment variable, its default and its meaning."""
    lines = ["| flag and environment | default | meaning |", "| --- " * 3 + "|"]
    for name, field in Settings.model_fields.items():
        default = "required" if field.default is PydanticUndefined else _default(field.default)
        flag = f"`{flag_name(name)}` `{env_name(name)}`" if name != "routes" else "`routes:` in the config file"
        lines.append(f"| {flag} | {default} | {field.description}{_choices(field.annotation)} |")
    return "\n".join(lines)


def routes() -> str:
    """The keys of one entry of `routes`."""
    lines = ["| key | default | meaning |", "| --- " * 3 + "|"]
    for name, field in Route.model_fields.items():
        default = "required" if field.default is PydanticUndefined else _default(field.default)
        meaning = field.description or "As the setting of the same name."
        lines.append(f"| `{name}` | {default} | {meaning} |")
    return "\n".join(lines)


def _default(value: object) -> str:
    match value:
        case None | ():
            return "none"
        case bool():
            return "on" if value else "off"
        case tuple():
            return " ".join(f"`{item}`" for item in value)
        case float() | int():
            return f"{value:g}"
    return f"`{value}`"


def _choices(annotation: object) -> str:
    several = get_args(annotation) if get_origin(annotation) is not UnionType else ()
    words = [value for value in several if isinstance(value, str)]
    return f" One of {', '.join(f'`{word}`' for word in words)}." if len(words) > 1 else ""


PAGES = {"README.md": {"faults": faults}, "docs/settings.md": {"settings": settings, "routes": routes}}


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
