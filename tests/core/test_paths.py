import pytest
from hypothesis import given
from hypothesis import strategies as st

from postel.core.paths import PASSTHROUGH, PathSet, without_query

PROBES = (
    "/health /healthz /health/live /ready /readyz /live /livez /metrics /ping /version /docs /docs/x /openapi.json /"
)
OTHERS = "/v1/chat/completions /v1/health /metrics/ /pings /versions /openapi.json/x /HEALTH // /api/generate x "


@pytest.mark.parametrize("path", PROBES.split())
def test_probes_metrics_and_documents_are_passed_through(path: str) -> None:
    assert path in PathSet(PASSTHROUGH)


@pytest.mark.parametrize("path", ["", *OTHERS.split()])
def test_everything_else_is_normalised(path: str) -> None:
    assert path not in PathSet(PASSTHROUGH)


def test_a_star_spans_slashes_and_a_glob_covers_the_whole_path() -> None:
    paths = PathSet(["/v1/*/raw", "/x?"])

    assert "/v1/a/b/raw" in paths
    assert "/v1/a/raw/b" not in paths
    assert "/xy" in paths
    assert "/x" not in paths


def test_no_glob_is_no_path() -> None:
    assert "/" not in PathSet([])
    assert None not in PathSet(["*"])


@pytest.mark.parametrize(
    ("target", "path"), [("/a?b=c", "/a"), ("/a?b?c#d", "/a"), ("/a#b?c", "/a"), ("/a", "/a"), ("", ""), ("?x", "")]
)
def test_a_path_ends_where_the_query_begins(target: str, path: str) -> None:
    assert path == without_query(target)


@given(st.text())
def test_a_literal_path_is_its_own_glob(path: str) -> None:
    literal = "".join(f"[{letter}]" if letter in "*?[" else letter for letter in path)

    assert path in PathSet([literal])
