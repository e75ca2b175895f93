"""What every test may count on: loopback is the whole network, and a missing program is said aloud.

A test that drives a system program or an SDK asks for it by fixture and gets its path:

    def test_an_nginx_page_is_told_apart(needs_program):
        nginx = needs_program("nginx")

Without it the test skips and says why; with POSTEL_REQUIRE_ALL=1, as in `.ci/run`, it fails.
"""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings
from hypothesis.database import DirectoryBasedExampleDatabase

ROOT = Path(__file__).parent.parent

# No deadline: a busy machine is not a finding. `make fuzz` goes deep.
settings.register_profile("quick", deadline=None, database=DirectoryBasedExampleDatabase(ROOT / ".cache/hypothesis"))
settings.register_profile("deep", settings.get_profile("quick"), max_examples=5_000)
settings.load_profile(os.environ.get("POSTEL_HYPOTHESIS", "quick"))


def absent(reason: str) -> NoReturn:
    if os.environ.get("POSTEL_REQUIRE_ALL") == "1":
        pytest.fail(f"{reason} (POSTEL_REQUIRE_ALL=1)", pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def needs_program() -> Callable[[str], str]:
    """Call it with a program's name; it answers with the path."""

    def path(name: str) -> str:
        # Servers live in sbin, which is not on every user's PATH.
        search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
        return shutil.which(name, path=search) or absent(f"{name} is not installed")

    return path


@pytest.fixture(scope="session")
def needs_client() -> Callable[[str], Path]:
    """Call it with `openai-1`, `openai-2`, `openai-3`, `anthropic` (virtual environments) or `node` (node_modules)."""

    def folder(name: str) -> Path:
        client = ROOT / ".cache/clients" / name
        return client if (client / ".key").exists() else absent(f"{client} is not there: `make clients` makes it")

    return folder


@pytest.fixture(autouse=True, scope="session")
def _loopback_only() -> Iterator[None]:
    """No test reaches beyond this machine, so none depends on what is out there."""
    connect, connect_ex = socket.socket.connect, socket.socket.connect_ex

    def check(sock: socket.socket, address: object) -> None:
        if sock.family in {socket.AF_INET, socket.AF_INET6} and isinstance(address, tuple):
            host = address[0]
            if host != "localhost" and not ip_address(host).is_loopback:
                raise RuntimeError(f"a test tried to connect to {host}; tests talk to loopback only")

    def checked_connect(sock: socket.socket, address: tuple[str, int]) -> None:
        check(sock, address)
        connect(sock, address)

    def checked_connect_ex(sock: socket.socket, address: tuple[str, int]) -> int:
        check(sock, address)
        return connect_ex(sock, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", checked_connect)
        patch.setattr(socket.socket, "connect_ex", checked_connect_ex)
        yield
