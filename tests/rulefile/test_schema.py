import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from postel.core.subject import PHASES, TEXTS, VALUES
from postel.rulefile.document import Document
from postel.rulefile.schema import Condition, PackFile, alternatives

PACK: dict[str, Any] = {"version": 1, "pack": "acme", "rules": []}


def test_the_sample_pack_is_read_whole(acme: Path) -> None:
    file = Document(acme).validate(PackFile)

    assert file is not None
    assert "acme" == file.pack
    assert 8 == len(file.rules)
    assert "quota_exhausted" == file.faults["gpu_quota_exhausted"].is_


def test_when_has_every_key_that_the_core_can_look_up() -> None:
    keys = {field.alias or name for name, field in Condition.model_fields.items()}

    assert {"phase", *PHASES} == keys
    assert {"phase", "headers", "json", *VALUES, *TEXTS} == keys


def test_conditions_are_one_mapping_or_a_list_of_alternatives() -> None:
    def when(data: object) -> int:
        rule = {"id": "acme-x", "when": data, "then": "pass"}
        return len(alternatives(PackFile.model_validate(PACK | {"rules": [rule]}).rules[0].when))

    assert (1, 2) == (when({"status": 500}), when([{"status": 500}, {"status": 502, "type": "x"}]))
    assert [] == alternatives(None)


def test_a_phase_named_twice_counts_once() -> None:
    condition = Condition.model_validate({"phase": ["event", "response", "event"]})

    assert ["event", "response"] == condition.phases
    assert ["response"] == Condition.model_validate({}).phases


@pytest.mark.parametrize("name", ["Acme", "acme_", "-acme", "acme--x", "", "acme x", "acmé"])
def test_a_pack_has_a_plain_name(name: str) -> None:
    with pytest.raises(ValidationError):
        PackFile.model_validate(PACK | {"pack": name})


@pytest.mark.parametrize("name", ["gpu-quota", "Gpu", "_gpu", "gpu__quota"])
def test_a_fault_has_a_name_like_the_base_faults(name: str) -> None:
    with pytest.raises(ValidationError):
        PackFile.model_validate(PACK | {"faults": {name: {"is": "internal"}}})


def test_the_json_schema_is_complete_enough_for_an_editor() -> None:
    schema = PackFile.model_json_schema()
    properties = [*schema["properties"].values(), *schema["$defs"]["Condition"]["properties"].values()]

    json.dumps(schema)
    assert ["version", "pack", "rules"] == schema["required"]
    assert all("description" in each for each in properties)
    assert all(part["additionalProperties"] is False for part in (schema, *schema["$defs"].values()))
