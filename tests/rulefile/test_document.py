from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import pytest
from pydantic import Field, model_validator

from postel.rulefile.document import Described, Document, place
from postel.rulefile.finding import Mark, Problem, refusal
from postel.rulefile.yaml import parse


class Leaf(Described):
    NULLABLE = frozenset({"empty"})

    name: str = Field(min_length=1)
    size: int | None = Field(default=None, ge=1, le=9)
    empty: str | None = None

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.name == "both":
            raise refusal([Problem("first", "mend it", ("name",)), Problem("second", "mend it too", ("size",))])
        return self


class Tree(Described):
    STAND_INS: ClassVar[dict[str, Any]] = {"version": 1, "leaves": []}

    version: Literal[1]
    leaves: list[Leaf]
    notes: str | None = None
    more: dict[str, Leaf] = Field(default_factory=dict)


def judged(path: Path) -> tuple[Tree | None, list[str], Document]:
    document = Document(path)
    tree = document.validate(Tree)
    return tree, [str(finding).removeprefix(f"{path}:") for finding in document.findings], document


def test_a_sound_file_becomes_a_model_that_knows_its_places(write: Callable[..., Path]) -> None:
    tree, findings, _ = judged(write("t.yaml", "version: 1\nleaves:\n  - {name: a, size: 2}\n"))

    assert tree is not None
    assert [] == findings
    (leaf,) = tree.leaves
    assert (Mark(3, 6), Mark(3, 12)) == (leaf.key_mark("name"), leaf.value_mark("name"))
    assert Mark(3, 5) == leaf.mark
    assert ("name", "size") == leaf.keys_given
    assert Mark(3, 5) == leaf.value_mark("empty"), "what is not there is as near as the mapping"


def test_everything_that_is_wrong_is_told_at_once(write: Callable[..., Path]) -> None:
    text = """
        version: 2
        leaves:
          - {name: '', sice: 3}
          - {size: 12}
          - {name: 5, size: '5', empty: }
          - text
        notes:
        more: {x: {name: x, size: 0}}
        unheard: 1
    """

    assert [
        "7:7: `notes` is empty, fill it or remove it",
        "1:10: `version` is the number 2, it should be 1",
        "3:12: `name` is empty, fill it or remove it",
        "3:16: unknown key `sice`, did you mean `size`?",
        "4:5: `name` is missing, add it",
        "4:12: `size` is 12, it should be 9 or less",
        "5:12: `name` is the number 5 and should be a text, quote it",
        "5:21: `size` is `5`, it should be a whole number, without quotes",
        "6:5: `leaves` is `text`, it should be a mapping",
        "8:27: `size` is 0, it should be 1 or more",
        "9:1: unknown key `unheard`, there are version, leaves, notes, more",
    ] == judged(write("t.yaml", text))[1]


def test_several_problems_of_one_value_have_a_place_each(write: Callable[..., Path]) -> None:
    _, findings, _ = judged(write("t.yaml", "version: 1\nleaves: [{name: both, size: 2}]\n"))

    assert ["2:17: first, mend it", "2:29: second, mend it too"] == findings


def test_what_can_be_read_is_judged_although_its_neighbour_cannot(write: Callable[..., Path]) -> None:
    tree, _, document = judged(
        write("t.yaml", "version: x\nleaves:\n  - {name: a}\n  - {name: b, size: big}\n  - {size: 1}\n")
    )

    assert tree is not None
    whole, damaged = tree.leaves
    assert [("a", False), ("b", True)] == [(leaf.name, document.is_damaged(leaf)) for leaf in (whole, damaged)]
    assert Mark(4, 12) == damaged.value_mark("name")


def test_a_missing_key_of_the_file_does_not_hide_the_rest(write: Callable[..., Path]) -> None:
    tree, findings, _ = judged(write("t.yaml", "notes: 5\n"))

    assert tree is not None
    assert {
        "1:1: `version` is missing, add it",
        "1:1: `leaves` is missing, add it",
        "1:8: `notes` is the number 5 and should be a text, quote it",
    } == set(findings)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"\xff\xfe", "1:1: the file is not UTF-8, save it as UTF-8"),
        (b"", "1:1: the file is no mapping, begin with `version: 1`"),
        (b"- a", "1:1: the file is no mapping, begin with `version: 1`"),
        (b"a: {", "2:1: no valid YAML"),
    ],
)
def test_a_file_that_is_no_mapping_has_one_finding_and_no_model(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(content)
    tree, findings, _ = judged(path)

    assert tree is None
    (finding,) = findings
    assert finding.startswith(says)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "t.yaml"
    path.write_bytes(b"\xef\xbb\xbfversion: 1\nleaves: []\n")

    assert [] == judged(path)[1]


def test_a_file_that_is_not_there_is_a_finding(tmp_path: Path) -> None:
    assert ["1:1: the file cannot be read (No such file or directory)"] == judged(tmp_path / "t.yaml")[1]


def test_a_place_skips_what_the_tree_does_not_have() -> None:
    tree, _ = parse("a:\n  - {b: 1}\n")

    assert Mark(2, 9) == place(tree, ("a", 0, "<mapping>", "b"))
    assert Mark(2, 6) == place(tree, ("a", 0, "b"), key=True)
    assert Mark(2, 5) == place(tree, ("a", 0, "c"))
    assert Mark(1, 1) == place(None, ("a",))


def test_the_json_schema_has_null_only_where_null_says_something() -> None:
    leaf = Leaf.model_json_schema()["properties"]

    assert {"type": "integer", "minimum": 1, "maximum": 9, "title": "Size"} == leaf["size"]
    assert {"type": "null"} in leaf["empty"]["anyOf"]
