"""One YAML file held against a pydantic model, every problem with its place.

Owns the way from pydantic's errors to findings. Knows no grammar: the models are in `schema`, `case_schema` and
`dialect_schema`. Called by `load` and `cases`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from postel.rulefile import yaml
from postel.rulefile.finding import Finding, Mark, Problem, Severity, did_you_mean

Loc = tuple[str | int, ...]

_ATTEMPTS = 10
"""Leaving a value out may leave a hole that is itself wrong; each attempt goes one level up at least."""


class Described(BaseModel):
    """A mapping of a file: unknown keys are errors, nothing is converted, and it knows where it stands."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)

    STAND_INS: ClassVar[Mapping[str, Any]] = {}
    """What a missing top-level key is taken for, so that the rest of the file can be judged too."""

    NULLABLE: ClassVar[frozenset[str]] = frozenset()
    """Keys for which null says something; elsewhere a key without a value is a mistake."""

    NULL_ADVICE: ClassVar[str] = "fill it or remove it"

    _map: yaml.Map = PrivateAttr(default_factory=lambda: yaml.Map(Mark()))

    @model_validator(mode="wrap")
    @classmethod
    def _placed(cls, data: object, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:
        if isinstance(data, yaml.Map) and isinstance(info.context, Document):
            for name, field in cls.model_fields.items():
                key = field.alias or name
                if data.get(key, ...) is None and field.default is None and key not in cls.NULLABLE:
                    info.context.say(data.value_marks[key], f"`{key}` is empty", cls.NULL_ADVICE)
        model = handler(data)
        if isinstance(data, yaml.Map):
            model._map = data  # noqa: SLF001 - our own
        return model

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The JSON Schema without the null that stands for "not given" in the model and is a mistake in a file."""
        schema = handler(core)
        for key, field in handler.resolve_ref_schema(schema).get("properties", {}).items():
            if key in cls.NULLABLE or field.get("default", ...) is not None:
                continue
            del field["default"]
            forms = [form for form in field.pop("anyOf", ()) if form != {"type": "null"}]
            field |= forms[0] if len(forms) == 1 else {"anyOf": forms} if forms else {}
        return schema

    @property
    def mark(self) -> Mark:
        """Where the mapping begins."""
        return self._map.mark

    def key_mark(self, *loc: str | int) -> Mark:
        """Where a key inside begins."""
        return place(self._map, loc, key=True)

    def value_mark(self, *loc: str | int) -> Mark:
        """Where a value inside begins; the nearest place around it if there is no such value."""
        return place(self._map, loc)

    @property
    def keys_given(self) -> tuple[str, ...]:
        """The keys in the order written, without those whose value is missing by mistake."""
        return tuple(key for key, value in self._map.items() if value is not None or key in self.NULLABLE)


class Document:
    """One file as read. `findings` grows while it is judged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.findings: list[Finding] = []
        self._damaged: set[Mark] = set()
        self.tree: object = None
        try:
            self.tree, problems = yaml.parse(path.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            self.say(Mark(), f"the file cannot be read ({error.strerror})")
            return
        except UnicodeDecodeError:
            self.say(Mark(), "the file is not UTF-8", "save it as UTF-8")
            return
        except yaml.Unreadable as error:
            self.say(error.mark, error.problem.text, error.problem.advice)
            return
        for mark, problem in problems:
            self.say(mark, problem.text, problem.advice)
        if not isinstance(self.tree, yaml.Map):
            mark = self.tree.mark if isinstance(self.tree, yaml.Seq) else Mark()
            self.say(mark, "the file is no mapping", "begin with `version: 1`")

    def say(self, mark: Mark, text: str, advice: str = "", severity: Severity = "error") -> None:
        finding = Finding(self.path, mark.line, mark.column, text, advice, severity)
        if finding not in self.findings:
            self.findings.append(finding)

    def forget(self) -> None:
        """Let the text go; the findings stay."""
        self.tree = None

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.findings if finding.severity == "error"]

    def validate[M: Described](self, model: type[M]) -> M | None:
        """The file as a model; what is wrong goes to `findings`.

        The values that cannot be read are missing from the model, so that the others can be judged at the same time:
        `is_damaged` tells which mappings lack something. None if nothing is left.
        """
        tree = yaml.copied(self.tree)
        for attempt in range(_ATTEMPTS):
            if not isinstance(tree, yaml.Map):
                break
            try:
                return model.model_validate(tree, context=self)
            except ValidationError as error:
                problems = error.errors(include_url=False)
            if not attempt:  # later ones are about the gaps
                for details in problems:
                    for finding in self._findings(model, details):
                        self.say(*finding)
            paths = {path for details in problems for path in _paths(tree, details)}
            for path in sorted(paths, key=lambda path: [(isinstance(part, str), part) for part in path], reverse=True):
                tree = self._without(tree, path, model.STAND_INS)
        return None

    def is_damaged(self, part: Described) -> bool:
        """Whether something inside could not be read, so that what is not there proves nothing."""
        return part.mark in self._damaged

    def _without(self, tree: object, path: Loc, stand_ins: Mapping[str, Any]) -> object:
        """The tree without the value at `path`; a required key of the file itself gets a stand-in."""
        inside: Any = tree
        for part in path[:-1]:
            self._damaged.add(inside.mark)
            inside = inside[part]
        match inside, path[-1:]:
            case yaml.Map(), (str(key),) if inside is tree and key in stand_ins:
                inside.put(key, stand_ins[key], inside.key_marks.get(key, inside.mark), inside.mark)
            case yaml.Map(), (str(key),):
                self._damaged.add(inside.mark)
                inside.drop(key)
            case yaml.Seq(), (int(index),):
                inside.drop(index)
            case _:
                return None
        return tree

    def _findings(self, model: type[BaseModel], details: Any) -> Iterator[tuple[Mark, str, str]]:
        loc: Loc = tuple(details["loc"])
        on_key = loc[-1:] == ("[key]",)  # pydantic's word for a mapping's key
        loc = loc[:-1] if on_key else loc
        name = f"`{_name(loc)}`"
        if details["type"] == "problems":
            for problem in details["ctx"]["problems"]:
                yield place(self.tree, loc + problem.loc, key=on_key), problem.text, problem.advice
        elif details["type"] == "extra_forbidden":
            known = _keys(model, loc[:-1])
            yield place(self.tree, loc, key=True), f"unknown key {name}", did_you_mean(str(loc[-1]), known)
        else:
            problem = _told(name, details)
            yield place(self.tree, loc, key=on_key), problem.text, problem.advice


def place(tree: object, loc: Loc, *, key: bool = False) -> Mark:
    """Where the value (or its key) at `loc` stands. Parts that the tree does not have (pydantic's tags) are skipped."""
    mark = tree.mark if isinstance(tree, yaml.Map | yaml.Seq) else Mark()
    for part in loc:
        if isinstance(tree, yaml.Map) and part in tree:
            mark = (tree.key_marks if key else tree.value_marks)[str(part)]
            tree = tree[str(part)]
        elif isinstance(tree, yaml.Seq) and isinstance(part, int) and part < len(tree):
            mark, tree = tree.marks[part], tree[part]
    return mark


def _paths(tree: object, details: Any) -> Iterator[Loc]:
    """What to leave out because of one error: the value, or what lacks a value."""
    inner = [problem.loc for problem in details["ctx"]["problems"]] if details["type"] == "problems" else [()]
    for loc in inner:
        path: list[str | int] = []
        here = tree
        for part in (*details["loc"], *loc):
            if (isinstance(here, yaml.Map) and part in here) or (
                isinstance(here, yaml.Seq) and isinstance(part, int) and part < len(here)
            ):
                path.append(part)
                here = here[part]
        if details["type"] == "missing" and not path:
            path = [details["loc"][-1]]
        yield tuple(path)


def _name(loc: Loc) -> str:
    return next((part for part in reversed(loc) if isinstance(part, str) and not part.startswith("<")), "the file")


_KINDS = {
    "string_type": "a text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def _told(name: str, details: Any) -> Problem:
    """One of pydantic's own errors in our words."""
    given, ctx = details["input"], details.get("ctx", {})
    match details["type"]:
        case "missing":
            return Problem(f"{name} is missing", "add it")
        case "string_type" if isinstance(given, bool | int | float):
            return Problem(f"{name} is {_kind(given)} and should be a text", "quote it")
        case kind if kind in _KINDS:
            quoted = isinstance(given, str) and kind in ("bool_type", "int_type", "float_type")
            wanted = f"{_KINDS[kind]}, without quotes" if quoted else _KINDS[kind]
            return Problem(f"{name} is {_kind(given)}", f"it should be {wanted}")
        case "literal_error" | "enum":
            return Problem(f"{name} is {_kind(given)}", f"it should be {ctx['expected']}")
        case "too_short" | "string_too_short":
            return Problem(f"{name} is empty", "fill it or remove it")
        case "greater_than_equal":
            return Problem(f"{name} is {given}", f"it should be {ctx['ge']} or more")
        case "less_than_equal":
            return Problem(f"{name} is {given}", f"it should be {ctx['le']} or less")
    return Problem(f"{name}: {details['msg']}")


def _kind(value: object) -> str:
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case int() | float():
            return f"the number {value}"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return f"`{value}`"


def _keys(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that the model at `loc` has."""
    for part in loc:
        fields = {field.alias or name: field for name, field in model.model_fields.items()}
        if part in fields:
            model = next(_models(fields[str(part)].annotation), model)
    return [field.alias or name for name, field in model.model_fields.items()]


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models(inner)
