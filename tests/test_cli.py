"""The command line: verbs, exit codes, and one clear line for each wrong use."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from postel import cli
from postel.rulefile import yaml
from postel.settings import Settings, flag_name
from tests.imports import ROOT

LIBRARY = ROOT / "tests/rulefile/library"

BROKEN = (
    "version: 1\npack: acme\nrules:\n  - {id: acme-x, when: {status: 500, message: '^x'}, then: {fault: overloded}}\n"
)


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("POSTEL_")]:
        monkeypatch.delenv(name)


def call(*argv: str) -> int:
    """The exit code, however it is given."""
    try:
        return cli.main(argv)
    except SystemExit as ended:
        return int(ended.code or 0)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        ([], "VERB"),
        (["fly"], "fly"),
        (["run"], "--upstream is required"),
        (["run", "--upstream", "x"], "--upstream: should be a URL"),
        (["run", "--upstream", "http://a:1", "--listen", "nowhere"], "--listen: should be host:port"),
        (["run", "--upstream", "http://a:1", "--mode", "sometimes"], "--mode"),
        (["run", "--upstream", "http://a:1", "--wings"], "--wings"),
        (["run", "--upstream", "http://a:1", "--idle-timeout", "never"], "--idle-timeout"),
        (["run", "--upstream", "http://a:1", "--dialect", "klingon"], "klingon"),
        (["run", "--upstream", "http://a:1", "--config", "/nowhere.yaml"], "/nowhere.yaml: cannot be read"),
        (["run", "--upstream", "http://a:1", "--rules", "/nowhere.yaml"], "/nowhere.yaml"),
        (["run", "--upstream", "http://a:1", "--packs", "nonsense"], "nonsense"),
        (["run", "--upstream", "http://a:1", "--redact", "("], "--redact"),
        (["run", "--upstream", "http://127.0.0.1:8080"], "call itself"),
        (["demo", "--serve", "--listen", "nowhere"], "--listen: should be host:port"),
        (["explain"], "FILE"),
        (["explain", "/nowhere.txt"], "/nowhere.txt: No such file"),
        (["explain", "/dev/null"], "--status"),
        (["explain", "/dev/null", "--status", "99"], "--status: '99' is no status; it should be 100 to 999"),
        (["explain", "/dev/null", "--status", "99999"], "--status: '99999' is no status"),
        (["explain", "/dev/null", "--status", "ok"], "--status: 'ok' is no status"),
        (["run", "--upstream", "https://a:1", "--upstream-ca", "/nope.pem"], "--upstream-ca: /nope.pem cannot be read"),
        (["check"], "PATH"),
        (["test", "--junit", "/nowhere/x.xml", f"{LIBRARY}/engines"], "--junit: /nowhere/x.xml cannot be written"),
        (["diff", "/nowhere", "rules"], "/nowhere: no such file or folder"),
        (["rules", "--dialect", "opnai"], "did you mean `openai`?"),
        (["faults", "--dialect", "klingon"], "--dialect: there is no dialect `klingon`"),
        (["rules", "--rules", "/nowhere.yaml"], "/nowhere.yaml"),
        (["schema", "novel"], "novel"),
    ],
)
def test_wrong_use_is_one_clear_line_and_exit_2(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = call(*argv)

    out, err = capsys.readouterr()
    assert (2, "") == (code, out)
    (line,) = err.splitlines()
    assert line.startswith("postel")
    assert says in line


def test_each_wrong_setting_gets_a_line_that_names_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "postel.yaml"
    config.write_text("first_byte_timeout: -1\n", "utf-8")
    monkeypatch.setenv("POSTEL_IDLE_TIMEOUT", "never")

    assert 2 == call("run", "--upstream", "x", "--config", str(config))
    lines = capsys.readouterr().err.splitlines()
    assert {"--upstream", "POSTEL_IDLE_TIMEOUT", f"{config}:1:21: first_byte_timeout"} == {
        line.removeprefix("postel: ").rpartition(": ")[0] for line in lines
    }


def test_a_broken_rule_file_is_told_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(BROKEN, "utf-8")

    assert 2 == call("run", "--upstream", "http://a:1", "--rules", str(path))
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{path}:4:" in line
    assert "overloded" in line


def test_a_folder_without_rules_stops_the_start_or_is_left_out_aloud(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def no_serving(*_: object) -> None:
        pass

    monkeypatch.setattr("postel.run.serve", no_serving)
    argv = ("run", "--upstream", "http://a:1", "--rules", str(tmp_path))

    assert 2 == call(*argv)
    (refusal,) = capsys.readouterr().err.splitlines()
    assert 0 == call(*argv, "--rules-invalid", "skip")
    (left_out,) = capsys.readouterr().err.splitlines()
    assert f"postel: {tmp_path}: no rule file in this folder" in refusal
    assert f"postel: left out: {tmp_path}: no rule file in this folder" in left_out


def test_check_lists_findings_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(BROKEN, "utf-8")

    assert 1 == call("check", str(path))
    assert f"{path}:4:" in capsys.readouterr().out


GOOD = """\
version: 1
pack: acme
rules:
  - {id: acme-x, when: {status: 500, type: [Busy, Full]}, then: {fault: overloaded}}
"""
CASES = """\
version: 1
pack: acme
cases:
  - {name: busy, given: {status: 500, json: {error: {type: Busy, message: x}}}, expect: {rule: acme-x}}
  - {name: idle, given: {status: 500, json: {error: {type: Idle, message: x}}}, expect: {fault: internal}}
"""


@pytest.fixture
def acme(tmp_path: Path) -> Path:
    (tmp_path / "acme.cases.yaml").write_text(CASES, "utf-8")
    path = tmp_path / "acme.yaml"
    path.write_text(GOOD, "utf-8")
    return path


@pytest.fixture
def small_library(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests' own library in the place of the built-in one, whose thousands of cases take their time."""
    for module in ("library", "check", "load"):
        monkeypatch.setattr(f"postel.rulefile.{module}.library_path", lambda: LIBRARY)
    return LIBRARY


def test_warnings_are_told_and_do_not_fail_unless_asked_to(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    acme.with_name("acme.cases.yaml").unlink()

    assert 0 == call("check", str(acme))
    told, count = capsys.readouterr().out.splitlines()
    assert told.startswith(f"{acme}:4:10: warning: rule `acme-x` has no case, add one")
    assert "0 errors, 1 warning" == count
    assert 1 == call("check", "--strict", str(acme))


def test_check_speaks_to_pull_requests_and_to_code_scanning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "acme.yaml"
    path.write_text(BROKEN, "utf-8")

    assert 1 == call("check", "--format", "github", str(path))
    assert f"::error file={path},line=4,col=" in capsys.readouterr().out
    assert 1 == call("check", "--format", "sarif", str(path))
    assert "overloded" in json.loads(capsys.readouterr().out)["runs"][0]["results"][0]["message"]["text"]


@pytest.mark.usefixtures("small_library")
def test_test_runs_the_cases_beside_the_rules(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == call("test", str(acme))
    assert "2 passed, 0 failed\n" == capsys.readouterr().out

    acme.write_text(GOOD.replace("overloaded", "internal").replace("Busy, ", ""), "utf-8")
    assert 1 == call("test", str(acme))
    failed, *reasons, count = capsys.readouterr().out.splitlines()
    assert failed.endswith("acme.cases.yaml:4:12: failed: busy")
    assert any("acme-x: type is" in reason for reason in reasons)
    assert "1 passed, 1 failed" == count


@pytest.mark.usefixtures("small_library")
def test_test_shows_coverage_and_writes_junit(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == call("test", "--coverage", "--junit", str(acme.with_name("out.xml")), str(acme))
    coverage, count, _ = capsys.readouterr().out.splitlines()

    assert ["1", "won", "0", "not", "matched", "acme-x"] == coverage.split()
    assert "1 of 1 rule won by a case" == count
    assert 'tests="2" failures="0"' in acme.with_name("out.xml").read_text("utf-8")


@pytest.mark.usefixtures("small_library")
def test_mutants_that_nobody_notices_are_findings(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == call("test", "--mutate", str(acme))
    *survivors, count = capsys.readouterr().out.splitlines()[1:]

    assert ["`status` is not asked for"] == [line.split("that ")[1].split(",")[0] for line in survivors]
    assert "3 mutants, 1 survived" == count


@pytest.mark.usefixtures("small_library")
def test_diff_says_what_other_rules_change_and_exits_1_if_they_do(
    acme: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = acme.with_name("new") / "acme.yaml"
    other.parent.mkdir()
    other.write_text(GOOD.replace("overloaded", "unavailable"), "utf-8")
    cases = acme.with_name("acme.cases.yaml")

    assert 1 == call("diff", str(acme), str(other), "--cases", str(cases))
    out = capsys.readouterr().out
    assert f"{cases}:4: busy\n    fault: overloaded -> unavailable\n" in out
    assert out.endswith(" cases, 1 told differently\n")
    assert 0 == call("diff", str(acme), str(acme), "--cases", str(cases))


@pytest.mark.usefixtures("small_library")
def test_whole_libraries_are_compared_by_the_cases_of_the_new_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new = tmp_path / "rules"
    shutil.copytree(LIBRARY, new)
    beta = new / "engines/beta.yaml"
    beta.write_text(beta.read_text("utf-8").replace("fault: model_loading", "fault: unavailable"), "utf-8")

    assert 1 == call("diff", str(LIBRARY), str(new))
    assert f"{new}/engines/beta.cases.yaml:4: loading" in (out := capsys.readouterr().out)
    assert "5 cases, 1 told differently" in out

    beta.write_text(beta.read_text("utf-8").replace("beta-loading", "beta-renamed"), "utf-8")
    (new / "engines/beta.cases.yaml").unlink()
    assert 1 == call("diff", str(LIBRARY), str(new))
    assert "    rule: beta-loading -> beta-renamed" in capsys.readouterr().out, "a rule that is gone, with its cases"


@pytest.mark.usefixtures("small_library")
def test_recordings_that_cannot_be_read_are_wrong_use(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == call("diff", str(acme), str(acme), "--cases", str(acme))
    assert f"postel: {acme}:" in capsys.readouterr().err


def test_the_catalogue_is_searched_and_printed(acme: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == call("rules", "--rules", str(acme), "acme-x")
    assert "when    {status: 500, type: [Busy, Full]}" in capsys.readouterr().out
    assert 0 == call("rules", "nginx", "timeout", "--format", "json")
    assert "nginx-timeout" in {entry["id"] for entry in json.loads(capsys.readouterr().out)}
    assert 0 == call("faults", "out_of_memory")
    assert "out_of_memory" in capsys.readouterr().out
    assert 0 == call("dialects", "--format", "markdown")
    assert "| `openai` |" in capsys.readouterr().out
    assert 1 == call("rules", "no such words anywhere")
    assert ("", "postel: nothing has `no such words anywhere`; your own files need --rules\n") == capsys.readouterr()


@pytest.mark.parametrize("kind", ["pack", "cases", "dialect"])
def test_schemas_are_json_schema(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == call("schema", kind)
    schema = json.loads(capsys.readouterr().out)

    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False
    assert [] == [name for name, field in schema["properties"].items() if not field.get("description")]


KINDS = {"pack": "packs/acme.yaml", "cases": "packs/acme.cases.yaml", "dialect": "library/dialects/strict.yaml"}
OF_FORM = "unknown-key unknown-then-key unknown-top-key text-key-with-number unknown-phase bad-names version-2"


def test_an_editor_accepts_what_is_right_and_refuses_what_has_a_wrong_form(capsys: pytest.CaptureFixture[str]) -> None:
    def validator(kind: str) -> jsonschema.Draft202012Validator:
        assert 0 == call("schema", kind)
        return jsonschema.Draft202012Validator(json.loads(capsys.readouterr().out))

    def read(path: Path) -> object:
        return yaml.parse(path.read_text("utf-8"))[0]

    tests, rules = ROOT / "tests/rulefile", ROOT / "rules"
    for kind, name in KINDS.items():
        assert [] == [str(error.message) for error in validator(kind).iter_errors(read(tests / name))]
    packs, cases = validator("pack"), validator("cases")
    for path in rules.rglob("*.yaml"):
        if "dialects" not in path.parts:
            held = cases if path.name.endswith(".cases.yaml") else packs
            assert [] == [(path.name, error.message) for error in held.iter_errors(read(path))]
    for name in OF_FORM.split():
        assert not packs.is_valid(read(tests / "bad" / f"{name}.yaml")), name


def test_explain_prints_the_reply_with_the_settings_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = tmp_path / "answer.txt"
    capture.write_bytes(b'HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\n\r\n{"detail":"slow down"}')

    assert 0 == call("explain", str(capture), "--provenance")
    out, err = capsys.readouterr()
    assert "" == err
    body = json.loads(out.splitlines()[-1])
    assert "rate_limited" == body["error"]["fault"]
    assert "retry-after: 7" in out


def test_explain_reads_standard_input_and_the_clients_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "maximum context length is 4096 tokens, you requested 5000 tokens"
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"messages": [{"role": "user", "content": words}]}), "utf-8")
    body = json.dumps({"error": {"message": f"cannot read this: {words}"}}).encode()

    def told(*argv: str) -> str:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(body)))
        assert 0 == call("explain", "-", "--status", "500", *argv)
        return capsys.readouterr().out

    assert "fault      context_length_exceeded" in told()
    assert "fault      context_length_exceeded" not in told("--request", str(request))


def test_version_names_what_a_bug_report_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == call("version")
    out = capsys.readouterr().out
    assert [] == [name for name in ("postel ", "mitmproxy 12.", "Python 3.") if name not in out]


@pytest.mark.parametrize(
    "verb",
    "run demo check test diff explain rules faults dialects schema version".split(),
)
def test_every_verb_has_help(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == call(verb, "--help")
    assert "usage: postel" in capsys.readouterr().out


def test_every_setting_is_a_flag_of_run_but_routes(capsys: pytest.CaptureFixture[str]) -> None:
    call("run", "--help")
    out = capsys.readouterr().out
    assert [] == [name for name in Settings.model_fields if name != "routes" and flag_name(name) not in out]


def program(*argv: str, stdout: int = subprocess.PIPE, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """What `python -m postel ARGV` did."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "addon"), "PYTHONUNBUFFERED": "", **environ}
    command = [sys.executable, "-m", "postel", *argv]
    return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, check=False, env=environ)


def into_a_closed_pipe(*argv: str, **environ: str) -> tuple[int, bytes]:
    """Exit code and standard error where nobody reads standard output."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        ran = program(*argv, stdout=writing, **environ)
    finally:
        os.close(writing)
    return ran.returncode, ran.stderr


@pytest.mark.parametrize(
    "argv",
    [
        ["version"],
        ["check", "/nowhere"],
        ["test", f"{ROOT}/rules/transport.yaml"],
        ["--help"],
        ["explain", "/dev/null", "--status", "500"],
    ],
    ids=lambda argv: argv[0],
)
def test_a_reader_that_goes_away_ends_any_verb_in_silence(argv: list[str]) -> None:
    assert (141, b"") == into_a_closed_pipe(*argv)


def test_what_the_terminal_cannot_show_is_a_question_mark(tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    answer.write_text('{"error":{"message":"größer als erlaubt"}}', "utf-8")

    ran = program("explain", str(answer), "--status", "500", PYTHONIOENCODING="ascii")

    assert (0, b"") == (ran.returncode, ran.stderr)
    assert b"message  gr??er als erlaubt" in ran.stdout


def test_a_reader_that_goes_away_half_way_is_no_capture_that_cannot_be_read() -> None:
    argv = ("explain", "/dev/null", "--status", "500")

    assert (141, b"") == into_a_closed_pipe(*argv, PYTHONUNBUFFERED="1")


def test_a_verb_does_not_need_a_standard_output() -> None:
    shell = f"exec {sys.executable} -m postel version >&-"
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "addon")}
    ran = subprocess.run(["/bin/sh", "-c", shell], stderr=subprocess.PIPE, check=False, env=environ)

    assert (0, b"") == (ran.returncode, ran.stderr)


def test_a_check_that_is_interrupted_has_not_passed(acme: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("postel.rulefile.check.check", interrupted)

    assert 130 == call("check", str(acme))


def test_python_dash_m_is_the_same_program() -> None:
    ran = program("fly")

    assert (2, b"") == (ran.returncode, ran.stdout)
    assert 1 == len(ran.stderr.splitlines())
