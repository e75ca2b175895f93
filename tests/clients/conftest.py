"""One stage for all tests of this folder; each client plays all its calls on it once, for the first test that asks."""

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import cache, partial
from pathlib import Path

import pytest

from tests.clients.case import Case, Where
from tests.clients.nginx import Front, nginx
from tests.clients.playbook import calls, plays
from tests.clients.stage import HERE, Outcome, Play, Stage, Upstream, curl, drive, postel


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("stage")
    upstream = Upstream(plays())
    with contextlib.ExitStack() as stack:
        dead = stack.enter_context(socket.socket())  # bound but not listening: refused, and nobody else's
        dead.bind(("127.0.0.1", 0))
        dead_port = dead.getsockname()[1]
        engine_port = stack.enter_context(upstream.playing())
        urls: dict[Where, str] = {
            "engine": stack.enter_context(postel(engine_port, folder / "before-engine")),
            "nobody": stack.enter_context(postel(dead_port, folder / "before-nobody")),
        }
        yield Stage(upstream, engine_port, dead_port, urls, folder)


@pytest.fixture(scope="session")
def front(stage: Stage, needs_program: Callable[[str], str]) -> Iterator[Front]:
    folder = stage.folder / "nginx"
    folder.mkdir()
    with (
        nginx(needs_program("nginx"), folder, engine=stage.engine_port, dead=stage.dead_port) as server,
        postel(server.port, stage.folder / "before-nginx") as url,
    ):
        yield Front(server, url)


@pytest.fixture(scope="session")
def player(needs_program: Callable[[str], str], needs_client: Callable[[str], Path]) -> Callable[[str], Play]:
    """How a client is made to play; skips where it is not installed."""

    def of(client: str) -> Play:
        if client == "curl":
            return partial(curl, needs_program("curl"))
        if client == "node":
            return partial(drive, [needs_program("node"), HERE / "node/driver.mjs", needs_client("node")])
        if client.startswith("ai-"):
            provider = client.removeprefix("ai-")
            return partial(drive, [needs_program("node"), HERE / "node/driver_ai.mjs", needs_client("node"), provider])
        sdk, _, mode = client.rpartition("-")
        return partial(drive, [needs_client(sdk) / "bin/python", "-I", HERE / "driver_openai.py", mode])

    return of


@pytest.fixture(scope="session")
def batch(
    stage: Stage, player: Callable[[str], Play], request: pytest.FixtureRequest
) -> Callable[[str, str], Mapping[str, Outcome]]:
    """All outcomes of a client by the name of the case: those before `nginx`, or all others (`engine`)."""

    @cache
    def played(client: str, half: str) -> Mapping[str, Outcome] | BaseException:
        """What a client played, or why it could not: so that this, too, is not done again."""
        try:
            urls = stage.urls
            if half == "nginx":
                front: Front = request.getfixturevalue("front")
                front.nginx.spend()
                urls = {"nginx": front.url}
            outcomes = player(client)(calls(client, urls))
        except BaseException as problem:  # noqa: BLE001 - a skip is none of Exception's
            return problem
        return {outcome.id.partition("/")[2]: outcome for outcome in outcomes}

    def outcomes(client: str, half: str) -> Mapping[str, Outcome]:
        result = played(client, half)
        if isinstance(result, BaseException):
            raise result.with_traceback(None)  # else it grows by a few frames with each of a thousand tests
        return result

    return outcomes


@pytest.fixture(scope="session")
def outcome(batch: Callable[[str, str], Mapping[str, Outcome]]) -> Callable[[str, Case], Outcome]:
    """How a case ended for a client."""
    return lambda client, case: batch(client, "nginx" if case.where == "nginx" else "engine")[case.name]


@pytest.fixture(scope="session")
def witness(stage: Stage, request: pytest.FixtureRequest) -> Callable[[Outcome, Case], int]:
    """How often the upstream saw a call."""

    def times(outcome: Outcome, case: Case) -> int:
        if case.where == "nginx":
            front: Front = request.getfixturevalue("front")
            return front.nginx.calls()[outcome.id]
        return len(stage.upstream.arrivals[outcome.id])

    return times
