import errno
import os
import socket
from pathlib import Path

import pytest

from postel.proxy.master import StartError
from postel.rulefile.finding import RuleFileError
from postel.run import normaliser, serving
from postel.settings import Settings, SettingsError, load
from tests.wire.harness import request, rig, wired

PACK = """\
version: 1
pack: acme
rules:
  - {id: acme-full, when: {status: 500, message: '^full'}, then: {fault: overloaded}}
"""
DIALECT = "version: 1\ndialect: acme\nfaults:\n  rate_limited: {status: 420}\n"


def settings(**given: object) -> Settings:
    return load({"upstream": "http://localhost:1", **given}, {})


def test_the_rules_and_the_dialect_are_those_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "acme.yaml").write_text(PACK, "utf-8")

    made, left_out = normaliser(
        settings(rules=[str(tmp_path / "acme.yaml")], keep_headers="X-Cluster", provenance=True)
    )

    assert "acme-full" == made.rules.asked[0].id
    assert ("openai", True, {"x-cluster"}) == (
        made.dialect.name,
        made.policy.provenance,
        set(made.policy.keep_headers),
    )
    assert [] == left_out


def test_a_dialect_may_be_a_file(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(DIALECT, "utf-8")

    made, _ = normaliser(settings(dialect=str(path)))

    assert "acme" == made.dialect.name
    assert 420 == made.dialect.terms("rate_limited", made.rules.faults).status


@pytest.mark.parametrize("name", ["klingon", "/nowhere/klingon.yaml"])
def test_a_dialect_that_is_not_there_is_told_with_the_known_ones(name: str) -> None:
    with pytest.raises((SettingsError, RuleFileError), match="klingon"):
        normaliser(settings(dialect=name))


def test_each_route_has_its_dialect_by_name_or_by_file(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(DIALECT, "utf-8")
    routes = [{"path": "/v1/messages", "dialect": "anthropic"}, {"path": "/acme/*", "dialect": str(path)}]

    made, _ = normaliser(settings(routes=routes, keep="detail"))

    assert ("openai", "anthropic", "acme") == (
        made.dialect.name,
        made.speaking("anthropic", ()).dialect.name,
        made.speaking(str(path), ()).dialect.name,
    )
    assert ("detail",) == made.policy.keep


def test_a_routes_dialect_that_is_not_there_is_told_with_the_route() -> None:
    routes = [{"path": "/a"}, {"path": "/b", "dialect": "klingon"}]

    with pytest.raises(SettingsError, match=r"^routes\.1\.dialect: there is no dialect `klingon`"):
        normaliser(settings(routes=routes))


def test_a_broken_rule_file_stops_the_start_or_is_left_out_and_named(tmp_path: Path) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(PACK.replace("overloaded", "overloded"), "utf-8")

    with pytest.raises(RuleFileError, match=r"acme\.yaml:4:\d+: .*overloded"):
        normaliser(settings(rules=[str(path)]))

    made, left_out = normaliser(settings(rules=[str(path)], rules_invalid="skip"))
    assert "acme-full" not in {rule.id for rule in made.rules.asked}
    assert any("acme.yaml:4" in line for line in left_out)


def test_a_redact_expression_that_is_none_is_refused_before_the_start() -> None:
    with pytest.raises(SettingsError, match="redact"):
        normaliser(settings(redact=["("]))


async def refusal(listen: str) -> str:
    made = settings(listen=listen)
    with pytest.raises(StartError) as caught:
        async with serving(made, normaliser(made)[0]):
            pass
    return str(caught.value)


@wired
async def test_an_address_that_cannot_be_had_is_named_once_with_the_systems_reason() -> None:
    async with rig() as wire:
        taken = f"127.0.0.1:{wire.port}"
        assert f"cannot listen on {taken}: {os.strerror(errno.EADDRINUSE)}" == await refusal(taken)

    elsewhere = "192.0.2.1:8080"  # RFC 5737: nobody's
    assert f"cannot listen on {elsewhere}: {os.strerror(errno.EADDRNOTAVAIL)}" == await refusal(elsewhere)
    with pytest.raises(socket.gaierror) as unknown:
        socket.getaddrinfo("no.such.name.invalid", 80)
    assert f"cannot listen on no.such.name.invalid:80: {unknown.value.strerror}" == await refusal(
        "no.such.name.invalid:80"
    )


@wired
async def test_a_proxy_stops_listening_when_it_is_left() -> None:
    async with rig() as wire:
        assert 200 == (await wire.ask(request("GET", "/v1/models"))).status
    with pytest.raises(ConnectionError):
        await wire.connect()
