from pathlib import Path

import pytest
from pydantic import ValidationError

from postel.core.dialect import KEYS
from postel.core.fault import FaultRow
from postel.rulefile.dialect_schema import DialectFile
from postel.rulefile.document import Document


def test_a_dialect_says_how_faults_are_told(library: Path) -> None:
    file = Document(library / "dialects" / "strict.yaml").validate(DialectFile)

    assert file is not None
    assert ("strict", "openai") == (file.dialect, file.inherits)
    assert FaultRow(status=502, retry_after=3) == file.faults["internal"].row()
    assert "permission_denied" == file.faults["tier_not_allowed"].is_


@pytest.mark.parametrize("codes", [["a", "b"], {"internal": ["a"]}])
def test_codes_are_kept_on_any_fault_or_on_named_ones(codes: object) -> None:
    assert codes == DialectFile.model_validate({"version": 1, "dialect": "x", "keep_codes": codes}).keep_codes


def test_every_key_of_the_error_object_can_be_put_in_order() -> None:
    assert list(KEYS) == DialectFile.model_validate({"version": 1, "dialect": "x", "keys": list(KEYS)}).keys


def test_the_json_schema_names_the_keys_of_the_error_object() -> None:
    assert list(KEYS) == DialectFile.model_json_schema()["properties"]["keys"]["items"]["enum"]


def test_the_shape_of_answers_and_the_words_of_messages_are_a_dialects_too() -> None:
    says = {"internal": [{"unless": ["a", "b"], "add": "It says a.", "in": "stream"}]}
    given = {"envelope": "problem", "type_uri": "tag:acme,2026:{code}", "stream_type": "engine_error", "says": says}

    file = DialectFile.model_validate({"version": 1, "dialect": "x"} | given)

    assert ("problem", "tag:acme,2026:{code}", "engine_error") == (file.envelope, file.type_uri, file.stream_type)
    addition = file.says["internal"][0].addition()
    assert (["a", "b"], "It says a.", "stream") == (
        [pattern.source for pattern in addition.unless],
        addition.add,
        addition.place,
    )


def test_what_a_dialect_leaves_open_is_its_parents() -> None:
    file = DialectFile.model_validate({"version": 1, "dialect": "x"})

    assert (None, None, None, {}) == (file.envelope, file.type_uri, file.stream_type, file.says)


@pytest.mark.parametrize(
    "wrong",
    [
        {"keep_codes": "a"},
        {"keys": ["kind"]},
        {"keys": []},
        {"faults": {"internal": {"status": 200}}},
        {"inherits": 5},
        {"envelope": "xml"},
        {"type_uri": "no uri"},
        {"type_uri": "https://a b"},
        {"stream_type": ""},
        {"says": {"internal": [{"add": "x"}]}},
        {"says": {"internal": [{"unless": "x", "add": ""}]}},
        {"says": {"internal": [{"unless": "x", "add": "x", "in": "body"}]}},
    ],
)
def test_a_wrong_dialect_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DialectFile.model_validate({"version": 1, "dialect": "x"} | wrong)
