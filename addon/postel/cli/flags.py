"""Flags that are settings, made from `settings.Settings`.

Owns how a setting looks on the command line. Called by the verbs that take settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, get_args

from postel.settings import Settings, flag_name

_VALUE = {"upstream": "URL", "listen": "HOST:PORT", "rules": "PATH", "packs": "NAME,...", "dialect": "NAME|PATH"}
_REPEATED = ("rules", "passthrough", "keep_headers", "redact")


def given(args: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags."""
    return {name: value for name in Settings.model_fields if (value := getattr(args, name, None)) is not None}


def add_settings(parser: argparse.ArgumentParser, names: Sequence[str]) -> None:
    for name in names:
        field = Settings.model_fields[name]
        options: dict[str, Any] = {"help": field.description, "dest": name, "default": None}
        if field.annotation is bool:
            options["action"] = argparse.BooleanOptionalAction
        elif name in _REPEATED:
            options |= {"action": "append", "metavar": _VALUE.get(name, "TEXT")}
        elif choices := [value for value in get_args(field.annotation) if isinstance(value, str)]:
            options |= {"choices": choices}
        else:
            options["metavar"] = _VALUE.get(name, "SECONDS" if name.endswith("timeout") else "VALUE")
        parser.add_argument(flag_name(name), **options)
