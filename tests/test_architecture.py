"""The shape of the package: who may import whom, what a module is called, how long it may get, where its test is.

    cli, run -> proxy -> core <- rulefile <- cli, run

cli, run and the verbs that are modules of their own may import every part. The leaves (metrics, journal, settings and
the like) know core's types and each other's not at all; settings also reads its file with rulefile's reader. A failure
here says where the code belongs.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath

import pytest

from tests.imports import PACKAGE, ROOT, Import, all_imports, imports_of, modules

LINES = 400
NAMES_THAT_SAY_NOTHING = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common"}


@dataclass(frozen=True, slots=True)
class May:
    """What one part of the package may import beside itself and the standard library."""

    own: frozenset[str]
    others: frozenset[str]
    instead: str
    not_from_stdlib: frozenset[str] = frozenset()


def may(own: str, others: str, instead: str, *, not_from_stdlib: str = "") -> May:
    return May(frozenset(own.split()), frozenset(others.split()), instead, frozenset(not_from_stdlib.split()))


LEAVES = "admin coding journal metrics misbehave settings"
LEAF = "a leaf knows core's types only; what ties it to the rest belongs into run, or into proxy"
EDGES = "catalogue cli demo explain run __main__"
EDGE = "mitmproxy is known to proxy alone; put the verb that is needed there, and call it"

# A new part of the package fails below until it has its line here, which is the moment to think about it.
PARTS = {
    "core": may(
        "",
        "re2 jmespath",
        "core decides and does nothing else: reading files belongs to rulefile, the wire to proxy, clocks and chance to"
        " whoever calls; take the result as an argument",
        not_from_stdlib="asyncio logging os pathlib random secrets socket ssl subprocess threading time uuid",
    ),
    "rulefile": may(
        "core coding", "pydantic pydantic_core yaml", "rulefile turns YAML into core; nothing it makes knows a proxy"
    ),
    "proxy": may(
        f"core {LEAVES}",
        "mitmproxy h11",
        "proxy observes and obeys: a decision belongs to core, the loading of rules to run, which hands them in",
    ),
    "coding": may("core", "brotli zstandard", LEAF),
    "journal": may("core", "", LEAF),
    "metrics": may("core", "prometheus_client", LEAF),
    "admin": may("core", "prometheus_client", LEAF),
    # One reader for all YAML of a user, or `admin: off` is false in one file and a text in the other.
    "settings": may("core rulefile", "pydantic", f"{LEAF}; the reading of YAML is rulefile's"),
    "misbehave": may("core", "", LEAF),
    **dict.fromkeys(EDGES.split(), may(f"core rulefile proxy {LEAVES} {EDGES}", "", EDGE)),
}


def part_of(dotted: str) -> str:
    """`postel.core.body` is of `core`; `postel` and the names in its __init__ are of no part."""
    part = dotted.split(".")[1] if "." in dotted else ""
    return part if (PACKAGE / part).is_dir() or (PACKAGE / f"{part}.py").exists() else ""


def is_layer(dotted: str) -> bool:
    return f"{dotted}.".startswith("postel.proxy.layer.")


def objections(imports: Iterator[Import] | list[Import]) -> Iterator[str]:
    for found in imports:
        where = f"{found.module}:{found.line} imports {found.target}"
        part = found.module.split(".")[1] if "." in found.module else ""
        if found.target.startswith("."):
            yield f"{where}: write the full name, it shows which way the dependency points"
        elif f"{found.target}.".startswith("mitmproxy.proxy.") and not is_layer(found.module):
            yield f"{where}: only postel.proxy.layer stands on mitmproxy's internals; put the verb that is needed there"
        elif part == "":
            if not found.is_stdlib:
                yield f"{where}: the package itself only names its version; import from the module that owns the name"
        elif part not in PARTS:
            yield f"{found.module}: PARTS in {PurePath(__file__).name} does not say yet what {part} may import"
        elif found.is_stdlib:
            if found.top in PARTS[part].not_from_stdlib:
                yield f"{where}: {PARTS[part].instead}"
        elif found.top == "postel":
            if part_of(found.target) not in PARTS[part].own | {part, ""}:
                yield f"{where}: {PARTS[part].instead}"
        elif found.top not in PARTS[part].others:
            yield f"{where}: {PARTS[part].instead}"


def test_each_module_imports_only_what_its_part_may() -> None:
    found = sorted(set(objections(all_imports())))

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("module", "source", "says"),
    [
        ("postel.core.body", "import mitmproxy.http", "core decides"),
        ("postel.core.body", "import time", "core decides"),
        ("postel.core.body", "def f():\n    from postel import metrics", "core decides"),
        ("postel.core.body", "from postel.rulefile import load", "core decides"),
        ("postel.core.body", "from . import fault", "write the full name"),
        ("postel.rulefile.load", "from postel.proxy import addon", "rulefile turns"),
        ("postel.proxy.addon", "from postel.rulefile.load import load_rules", "proxy observes"),
        ("postel.proxy.addon", "from mitmproxy import proxy", "only postel.proxy.layer"),
        ("postel.proxy.addon", "from mitmproxy.proxy import events", "only postel.proxy.layer"),
        ("postel.metrics", "from postel.settings import Settings", "a leaf"),
        ("postel.settings", "import yaml", "the reading of YAML is rulefile's"),
        ("postel.settings", "from postel.proxy.addon import Postel", "a leaf"),
        ("postel.cli", "from mitmproxy.http import HTTPFlow", "known to proxy alone"),
        ("postel.novelty", "import json", "does not say yet"),
        ("postel", "from postel.core.fault import Faults", "only names its version"),
    ],
)
def test_an_import_against_the_grain_is_told_where_it_belongs(module: str, source: str, says: str) -> None:
    (objection,) = objections(list(imports_of(module, source)))

    assert objection.startswith(f"{module}:")
    assert says in objection


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("postel.core.body", "import json, re2\nfrom postel.core.fault import Faults"),
        ("postel.rulefile.load", "import os, yaml\nfrom postel.core import rules"),
        ("postel.settings", "from postel.rulefile import yaml"),
        ("postel.proxy.layer", "from mitmproxy.proxy import events"),
        ("postel.proxy.layer.stream", "from mitmproxy.proxy.layers import http"),
        (
            "postel.run",
            "from postel.proxy import addon\nfrom postel.rulefile import load\nfrom postel import __version__",
        ),
    ],
)
def test_an_import_along_the_grain_raises_no_objection(module: str, source: str) -> None:
    assert [] == list(objections(list(imports_of(module, source))))


def test_each_module_opens_with_a_docstring() -> None:
    silent = [
        name for name, path in modules().items() if not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert not silent, f"say what it owns, what it must not know and who calls it: {silent}"


def test_no_module_is_longer_than_one_idea() -> None:
    long = {
        name: lines
        for name, path in modules().items()
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > LINES
    }

    assert not long, f"over {LINES} lines, look for the second idea: {long}"


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [name for name in modules() if NAMES_THAT_SAY_NOTHING & set(name.split("."))]

    assert not vague, f"name each after what it owns, so that a reader guesses the file from the feature: {vague}"


@pytest.mark.parametrize("part", ["core", "rulefile"])
def test_each_module_has_its_test_file_and_each_test_file_its_module(part: str) -> None:
    sources = {path.relative_to(PACKAGE) for path in (PACKAGE / part).rglob("*.py") if path.name != "__init__.py"}
    mirrors = {path.with_name(f"test_{path.name}") for path in sources}
    tests = {path.relative_to(ROOT / "tests") for path in (ROOT / "tests" / part).rglob("test_*.py")}

    untested = sorted(f"tests/{path}" for path in mirrors - tests)
    orphaned = sorted(f"tests/{path}" for path in tests - mirrors)
    assert not untested, f"test files that are missing: {untested}"
    assert not orphaned, f"test files whose module is gone, or called otherwise: {orphaned}"
