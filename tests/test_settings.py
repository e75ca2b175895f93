from math import inf
from pathlib import Path
from typing import Any

import pytest

from postel.core.evidence import BODY_LIMIT
from postel.core.stream.policy import StreamPolicy
from postel.settings import Address, PerRoute, Settings, SettingsError, Terms, env_name, flag_name, load

UPSTREAM = {"upstream": "http://engine:8000"}


def config(folder: Path, text: str) -> str:
    path = folder / "postel.yaml"
    path.write_text(text, "utf-8")
    return str(path)


def refused(flags: dict[str, Any], environ: dict[str, str] | None = None, file: str | None = None) -> list[str]:
    """The lines that say why."""
    with pytest.raises(SettingsError) as caught:
        load(flags, environ or {}, file)
    return str(caught.value).splitlines()


def test_the_defaults_are_those_of_the_design() -> None:
    got = load(UPSTREAM, {})

    assert (5, 590, 120) == (got.connect_timeout, got.first_byte_timeout, got.idle_timeout)
    assert "127.0.0.1:8080" == str(got.listen)
    assert ("openai", "enforce", False, "always") == (got.dialect, got.mode, got.provenance, got.forward_request_id)
    assert ((), None, "refuse", None) == (got.rules, got.packs, got.rules_invalid, got.max_body)


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = config(tmp_path, "idle_timeout: 1\nfirst_byte_timeout: 1\nconnect_timeout: 1\n")
    environ = {"POSTEL_IDLE_TIMEOUT": "2", "POSTEL_FIRST_BYTE_TIMEOUT": "2"}

    got = load({**UPSTREAM, "idle_timeout": "3"}, environ, file)

    assert (3, 2, 1, "enforce") == (got.idle_timeout, got.first_byte_timeout, got.connect_timeout, got.mode)


def test_a_list_is_replaced_by_a_nearer_one_and_not_joined(tmp_path: Path) -> None:
    file = config(tmp_path, "keep_headers: [a, b]\nredact: x\n")

    got = load(UPSTREAM, {"POSTEL_KEEP_HEADERS": "c, D,,"}, file)

    assert (("c", "D"), ("x",)) == (got.keep_headers, got.redact)
    assert {"c", "d"} == got.keep_lower()


def test_the_environment_names_the_file_too_and_a_flag_names_another(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("upstream: http://first:1", "utf-8")
    second.write_text("upstream: http://second:2", "utf-8")

    assert "http://first:1" == load({}, {"POSTEL_CONFIG": str(first)}).upstream
    assert "http://second:2" == load({}, {"POSTEL_CONFIG": str(first)}, str(second)).upstream


def test_an_empty_variable_is_not_set() -> None:
    assert "openai" == load(UPSTREAM, {"POSTEL_DIALECT": ""}).dialect


def test_every_setting_has_a_variable_and_a_flag() -> None:
    assert ("POSTEL_IDLE_TIMEOUT", "--idle-timeout") == (env_name("idle_timeout"), flag_name("idle_timeout"))
    assert [] == [name for name, field in Settings.model_fields.items() if not field.description]


@pytest.mark.parametrize(
    ("given", "upstream"),
    [
        ("http://engine:8000", "http://engine:8000"),
        ("http://engine", "http://engine:80"),
        ("https://engine/", "https://engine:443"),
        ("https://[::1]:8443", "https://[::1]:8443"),
        ("HTTP://Engine:1", "http://engine:1"),
    ],
)
def test_an_upstream_is_scheme_host_and_port(given: str, upstream: str) -> None:
    assert upstream == load({"upstream": given}, {}).upstream


@pytest.mark.parametrize(
    "given",
    [
        "engine:8000",
        "ftp://engine",
        "http://",
        "http://engine:0",
        "http://engine:99999",
        "http://engine:x",
        "",
        "http://engine/v1",
        "http://engine?x=1",
        "http://user:secret@engine",
        "//engine:1",
        "http://en gine:1",
    ],
)
def test_an_upstream_that_is_none_is_refused_with_its_source(given: str) -> None:
    (line,) = refused({"upstream": given})

    assert line.startswith("--upstream: ")
    assert "secret" not in line


@pytest.mark.parametrize(
    ("given", "address"),
    [
        ("127.0.0.1:80", Address(host="127.0.0.1", port=80)),
        ("[::1]:80", Address(host="::1", port=80)),
        (":0", Address(host="", port=0)),
        ("localhost:65535", Address(host="localhost", port=65535)),
    ],
)
def test_an_address_to_listen_on(given: str, address: Address) -> None:
    got = load({**UPSTREAM, "listen": given}, {}).listen

    assert address == got
    assert given == str(got)


@pytest.mark.parametrize("given", ["8080", "localhost", "a:b", "::1:80", "localhost:65536", "localhost:-1", "[x]:1"])
def test_an_address_that_is_none_is_refused(given: str) -> None:
    (line,) = refused({**UPSTREAM, "listen": given})

    assert line.startswith("--listen: ")


@pytest.mark.parametrize(
    ("given", "seconds"), [(5, 5), ("5", 5), ("0.5", 0.5), ("500ms", 0.5), ("2m", 120), ("1h30m", 5400)]
)
def test_a_timeout_is_seconds_or_a_duration(given: object, seconds: float) -> None:
    assert seconds == load({**UPSTREAM, "idle_timeout": given}, {}).idle_timeout


@pytest.mark.parametrize("given", [0, -1, "0", "0s", "soon", "nan", "inf", "1e9", "5 parsecs", "90000", ""])
def test_a_timeout_that_is_none_is_refused(given: object) -> None:
    (line,) = refused({**UPSTREAM, "idle_timeout": given})

    assert line.startswith("--idle-timeout: ")


@pytest.mark.parametrize(("given", "size"), [("10", 10), (10, 10), ("2k", 2048), ("3M", 3 << 20), ("1g", 1 << 30)])
def test_a_size_is_bytes_or_a_multiple(given: object, size: int) -> None:
    assert size == load({**UPSTREAM, "max_body": given}, {}).max_body


@pytest.mark.parametrize("given", [0, "0", "-1", "1t", "k", "1.5m"])
def test_a_size_that_is_none_is_refused(given: object) -> None:
    assert refused({**UPSTREAM, "max_body": given})


def test_the_source_of_a_wrong_value_is_named(tmp_path: Path) -> None:
    file = config(tmp_path, "mode: sometimes\nroutes: [{path: /x, idle_timeout: -1}, {idle_timeout: 1}]\n")

    lines = refused({"upstream": "x"}, {"POSTEL_IDLE_TIMEOUT": "never"}, file)

    sources = {"--upstream", "POSTEL_IDLE_TIMEOUT"}
    places = ("1:7: mode", "2:35: routes.0.idle_timeout", "2:40: routes.1.path")
    assert sources | {f"{file}:{where}" for where in places} == {line.rpartition(": ")[0] for line in lines}
    assert f"{file}:2:40: routes.1.path: is required" in lines


def test_without_an_upstream_all_three_ways_to_give_it_are_named() -> None:
    (line,) = refused({})

    assert all(way in line for way in ("--upstream", "POSTEL_UPSTREAM", "`upstream:`"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("mode: observe\nupstreem: http://x:1", ":2:1: upstreem: there is no such setting"),
        ("routes: [{path: /x, timeout: 1}]", ":1:21: routes.0.timeout: there is no such setting"),
        ("- a list", ": should be a mapping"),
        ("just words", ": should be a mapping"),
        ("{broken", ": no valid YAML"),
        ("\x00", ":1:1: a character that YAML does not have"),
        ("upstream: http://a:1\nupstream: http://b:1", ":2:1: `upstream` is given twice, it is also on line 1"),
        ("redact: &own [a]", ":1:9: anchor `&own`"),
        ("listen: 8080", ":1:9: listen: should be host:port, such as 127.0.0.1:8080"),
        ("listen: {host: a, port: 1}", ":1:9: listen: should be host:port, such as 127.0.0.1:8080"),
        ("idle_timeout: 1:30", ":1:15: idle_timeout: should be seconds or a duration such as 500ms, 5s, 2m"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    file = config(tmp_path, text)

    (line,) = refused(UPSTREAM, {}, file)

    assert line.startswith(f"{file}:")
    assert says in line


def test_everything_wrong_with_a_file_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    file = config(tmp_path, "mode: x\nwings: 2\nidle_timeout: never\n")

    assert [f"{file}:1:7: mode", f"{file}:2:1: wings", f"{file}:3:15: idle_timeout"] == sorted(
        line.rpartition(": ")[0] for line in refused(UPSTREAM, {}, file)
    )


def test_a_file_is_yaml_1_2_where_off_is_a_word_and_still_says_no(tmp_path: Path) -> None:
    file = config(tmp_path, "admin: off\nprovenance: on\nkeep_host: no\npacks: [no, 1:30]\n")

    got = load(UPSTREAM, {}, file)

    assert ("off", True, False, ("no", "1:30")) == (got.admin, got.provenance, got.keep_host, got.packs)


def test_a_file_may_begin_with_a_byte_order_mark_but_has_to_be_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "postel.yaml"
    path.write_bytes(b"\xef\xbb\xbfmode: observe\n")
    assert "observe" == load(UPSTREAM, {}, str(path)).mode

    path.write_bytes("mode: observe".encode("utf-16"))
    assert [f"{path}: is not UTF-8; save it as UTF-8"] == refused(UPSTREAM, {}, str(path))


def test_what_a_flag_replaces_in_the_file_is_not_judged(tmp_path: Path) -> None:
    assert "observe" == load({**UPSTREAM, "mode": "observe"}, {}, config(tmp_path, "mode: nonsense\n")).mode


def test_a_ca_file_that_cannot_be_read_is_refused_with_its_source(tmp_path: Path) -> None:
    words = tmp_path / "words.pem"
    words.write_text("-----BEGIN NOTHING-----\n", "utf-8")
    file = config(tmp_path, f"upstream_ca: {words}\n")

    assert ["--upstream-ca: /nope.pem cannot be read (No such file or directory)"] == refused(
        {**UPSTREAM, "upstream_ca": "/nope.pem"}
    )
    assert ["POSTEL_UPSTREAM_CA: /nope.pem cannot be read (No such file or directory)"] == refused(
        UPSTREAM, {"POSTEL_UPSTREAM_CA": "/nope.pem"}
    )
    assert [f"{file}:1:14: upstream_ca: {words} holds no certificate in PEM"] == refused(UPSTREAM, {}, file)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = str(tmp_path / "none.yaml")

    assert [f"{missing}: cannot be read (No such file or directory)"] == refused(UPSTREAM, {}, missing)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    assert load(UPSTREAM, {}) == load(UPSTREAM, {}, config(tmp_path, "# nothing yet\n"))


def test_a_proxy_in_front_of_itself_is_refused() -> None:
    (line,) = refused({"upstream": "http://127.0.0.1:8080"})

    assert "call itself" in line


# --- routes -----------------------------------------------------------------------------------------------------------


def test_routes_come_from_the_file_and_have_from_the_deployment_what_they_do_not_say(tmp_path: Path) -> None:
    file = config(
        tmp_path, "routes:\n- {path: /v1/slow*, first_byte_timeout: 20m, retry_stale: true}\nidle_timeout: 7\n"
    )

    (route,) = load({**UPSTREAM, "connect_timeout": "1"}, {"POSTEL_STRICT": "on"}, file).routes

    assert ("/v1/slow*", 1200, True) == (route.path, route.first_byte_timeout, route.retry_stale)
    assert (7, 1, 590, True) == (route.idle_timeout, route.connect_timeout, route.comment_timeout, route.strict)


def test_what_a_deployment_says_a_route_may_take_back(tmp_path: Path) -> None:
    file = config(
        tmp_path,
        "strict: true\ntotal_timeout: 5m\nkeepalive: 15\ndone: after-error\nrepairs: none\nroutes:\n"
        "- {path: /a, strict: false, total_timeout: off, keepalive: off, done: never, repairs: [bom, utf8]}\n"
        "- {path: /b, total_timeout: }\n"
        "- {path: /c}\n",
    )

    got = load(UPSTREAM, {}, file)

    a, b, c = (got.for_route(route) for route in got.routes)
    assert StreamPolicy(repairs=frozenset({"bom", "utf8"})) == a.stream
    assert (inf, True) == (b.total_timeout, b.stream.strict)
    assert got.for_route() == c
    assert (300, 300, frozenset()) == (c.total_timeout, c.stream.total_timeout, c.stream.repairs)


@pytest.mark.parametrize("name", PerRoute.model_fields)
def test_each_setting_of_a_path_is_one_of_the_deployment_too(tmp_path: Path, name: str) -> None:
    values = {"strict": "true", "done": "after-error", "repairs": "[bom]", "hold_bytes": "1k", "hold_body": "1k"}
    values |= {"dialect": "anthropic", "keep": "[detail]"}
    text = f"{name}: {values.get(name, '7s')}"
    file = config(tmp_path, f"{text}\n")
    whole = load(UPSTREAM, {}, file).for_route()
    file = config(tmp_path, f"routes: [{{path: /x, {text}}}]\n")
    settings = load(UPSTREAM, {}, file)

    assert whole == settings.for_route(settings.routes[0])
    assert whole != settings.for_route()


def test_a_wrong_value_of_the_deployment_is_told_once_and_not_for_each_route(tmp_path: Path) -> None:
    file = config(tmp_path, "idle_timeout: never\nroutes: [{path: /a}, {path: /b}]\n")

    assert [f"{file}:1:15: idle_timeout: should be seconds or a duration such as 500ms, 5s, 2m"] == refused(
        UPSTREAM, {}, file
    )


def test_a_route_may_speak_another_dialect_and_carry_other_keys(tmp_path: Path) -> None:
    file = config(
        tmp_path,
        "dialect: siati\nkeep: [detail, object]\nroutes:\n"
        "- {path: /v1/messages, dialect: anthropic, keep: none}\n"
        "- {path: /mine, dialect: ./mine.yaml}\n",
    )

    got = load(UPSTREAM, {}, file)

    assert [("siati", ("detail", "object")), ("anthropic", ()), ("./mine.yaml", ("detail", "object"))] == [
        (terms.dialect, terms.keep) for terms in (got.for_route(), *map(got.for_route, got.routes))
    ]


@pytest.mark.parametrize(
    ("given", "keys"),
    [("detail,object", ("detail", "object")), ("none", ()), ([], ()), (["detail"], ("detail",))],
)
def test_old_keys_are_a_list_or_a_text_with_commas(given: object, keys: tuple[str, ...]) -> None:
    assert keys == load({**UPSTREAM, "keep": given}, {}).keep
    assert () == load(UPSTREAM, {}).keep


def test_the_error_itself_is_no_old_key(tmp_path: Path) -> None:
    file = config(tmp_path, "routes: [{path: /x, keep: [detail, error]}]\n")
    words = "has `error`, which is always the rewritten one; name the old keys beside it"

    assert [f"--keep: {words}"] == refused({**UPSTREAM, "keep": "error"})
    assert [f"{file}:1:27: routes.0.keep: {words}"] == refused(UPSTREAM, {}, file)


# --- streams ----------------------------------------------------------------------------------------------------------


def test_what_counts_for_a_path_are_the_defaults_of_the_design() -> None:
    assert (
        Terms(
            dialect="openai",
            keep=(),
            connect_timeout=5,
            first_byte_timeout=590,
            idle_timeout=120,
            comment_timeout=590,
            total_timeout=inf,
            hold_body=64 * 1024,
            retry_stale=False,
            stream=StreamPolicy(),
        )
        == load(UPSTREAM, {}).for_route()
    )


def test_every_setting_of_a_stream_reaches_its_guard() -> None:
    given = {
        "first_byte_timeout": "1",
        "idle_timeout": "2",
        "comment_timeout": "3s",
        "total_timeout": "4",
        "hold_time": "500ms",
        "hold_bytes": "6k",
        "hold_body": "7k",
        "keepalive": "8",
        "strict": "true",
        "done": "after-error",
        "repairs": "bom, blank_line",
    }

    got = load({**UPSTREAM, **given}, {}).for_route()

    assert (1, 2, 3, 4) == (got.first_byte_timeout, got.idle_timeout, got.comment_timeout, got.total_timeout)
    assert 7 * 1024 == got.hold_body
    assert (
        StreamPolicy(
            first_output_timeout=1,
            idle_timeout=2,
            comment_timeout=3,
            total_timeout=4,
            hold_time=0.5,
            hold_bytes=6 * 1024,
            strict=True,
            done_after_error=True,
            keepalive=8,
            repairs=frozenset({"bom", "blank_line"}),
        )
        == got.stream
    )


@pytest.mark.parametrize("name", ["total_timeout", "keepalive"])
def test_what_is_off_unless_given_can_be_said_to_be_off(name: str) -> None:
    assert load(UPSTREAM, {}) == load({**UPSTREAM, name: "off"}, {f"POSTEL_{name.upper()}": "5s"})
    assert [f"--{name.replace('_', '-')}: should be seconds or a duration such as 500ms, 5s, 2m, or off"] == refused(
        {**UPSTREAM, name: "never"}
    )
    assert refused({**UPSTREAM, name: "0"})


@pytest.mark.parametrize(
    ("given", "repairs"),
    [
        ("none", ()),
        ([], ()),
        ("utf8,bom", ("utf8", "bom")),
        (["utf8"], ("utf8",)),
        (" empty_data , ", ("empty_data",)),
    ],
)
def test_repairs_are_a_list_or_a_text_with_commas(given: object, repairs: tuple[str, ...]) -> None:
    assert repairs == load({**UPSTREAM, "repairs": given}, {}).repairs


def test_a_repair_that_nobody_knows_is_refused_with_those_there_are(tmp_path: Path) -> None:
    file = config(tmp_path, "repairs: [bom, boom]\n")

    assert [f"{file}:1:10: repairs: has no 'boom', there are blank_line, bom, empty_data, utf8"] == refused(
        UPSTREAM, {}, file
    )


def test_no_more_of_a_body_is_held_than_rules_may_look_at() -> None:
    assert BODY_LIMIT == load({**UPSTREAM, "hold_body": BODY_LIMIT}, {}).hold_body
    assert refused({**UPSTREAM, "hold_body": BODY_LIMIT + 1})


def test_whoever_turns_comments_on_reads_first_whom_they_break() -> None:
    assert "go-openai" in str(Settings.model_fields["keepalive"].description)
