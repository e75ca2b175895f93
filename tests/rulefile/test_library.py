from pathlib import Path

from postel.core.evidence import Phase
from postel.core.match import TextCondition
from postel.core.rules import Rule
from postel.rulefile.library import cases_of, library_files, library_path, rule_files
from postel.rulefile.load import gather


def test_the_built_in_library_is_found_from_the_source_tree() -> None:
    assert (library_path() / "dialects" / "openai.yaml").is_file()


def test_a_file_of_the_library_belongs_to_the_group_of_its_folder(library: Path) -> None:
    assert {
        "dialects/openai.yaml": None,
        "dialects/strict.yaml": None,
        "engines/alpha.yaml": "engines",
        "engines/beta.yaml": "engines",
        "generic/rest.yaml": "generic",
        "providers/cloud.yaml": "providers",
        "proxies/edge.yaml": "proxies",
        "transport.yaml": "transport",
    } == {path.relative_to(library).as_posix(): group for path, group in library_files(library)}


def test_a_folder_is_read_by_file_name_without_cases_and_hidden_files(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "a.cases.yaml", "notes.md", "sub/c.yaml", "..data/b.yaml", ".hidden.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()

    assert ["a.yml", "b.yaml", "sub/c.yaml"] == [path.relative_to(tmp_path).as_posix() for path in rule_files(tmp_path)]


def test_cases_lie_beside_their_pack() -> None:
    assert Path("rules/acme.cases.yaml") == cases_of(Path("rules/acme.yaml"))


def words(rule: Rule, phase: Phase) -> set[str]:
    return {
        source
        for alternative in rule.alternatives
        if alternative.phase is phase
        for condition in alternative.conditions
        if isinstance(condition, TextCondition) and condition.name == "message"
        for source in condition.sources
    }


def test_what_a_generic_rule_knows_of_events_it_knows_of_answers_too() -> None:
    rules = gather([], library=library_path()).rules.known.values()
    # A system may well say in its streams what it never says in an answer; what many say alike, they say everywhere.
    generic = [rule for rule in rules if rule.group == "generic"]
    both = [rule for rule in generic if words(rule, Phase.EVENT) and words(rule, Phase.RESPONSE)]

    assert both
    assert [] == [rule.id for rule in both if not words(rule, Phase.EVENT) <= words(rule, Phase.RESPONSE)]
