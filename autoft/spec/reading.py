"""Reads a spec from YAML or plain data, and says everything that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from autoft.errors import SpecError
from autoft.spec.dimensions import parse_dimensions
from autoft.spec.model import SearchSpec
from autoft.words import nearest, shown


@dataclass(frozen=True, slots=True)
class Draft:
    """A spec as it was read, with what is wrong with it.

    Attributes:
        spec: The spec; where something is wrong, what is right of it and defaults for the rest, so that it can be
            looked into further. None where that makes no sense.
        problems: What is wrong, a line each.
        unsaid: The keys, of `task` and `data`, for which nothing right was said.
    """

    spec: SearchSpec | None
    problems: tuple[str, ...]
    unsaid: frozenset[str] = frozenset()


def parse(raw: Mapping[str, Any]) -> SearchSpec:
    """Checks `raw` as a whole.

    Raises:
        SpecError: One line for each problem found.
    """
    draft = parse_draft(raw)
    if draft.problems or draft.spec is None:
        raise SpecError(*draft.problems)
    return draft.spec


def parse_draft(raw: Mapping[str, Any]) -> Draft:
    """Checks `raw` as a whole, and keeps what is right of it."""
    problems: list[str] = []
    values = dict(raw)
    for key in ("space", "per_model"):
        values.pop(key, None)
    space = parse_dimensions("space", raw.get("space"), problems)
    # `model` is how people think of it; it is a list like any other dimension.
    if isinstance(raw.get("space"), Mapping) and "model" in raw["space"]:
        if "models" in values:
            problems.append("space.model: `models` is given too; keep one of the two")
        values["models"] = raw["space"]["model"]
    per_model = raw.get("per_model") or {}
    if not isinstance(per_model, Mapping):
        problems.append(f"per_model: {shown(per_model)} is not a mapping from a model to its own space")
        per_model = {}
    models = values.get("models") or ()
    if not isinstance(models, list | tuple):
        models = (models,) if isinstance(models, str) else ()
    for model in per_model:
        if models and model not in models:
            problems.append(f"per_model.{model}: not among the models{nearest(str(model), map(str, models))}")
    values["per_model"] = {
        str(model): parse_dimensions(f"per_model.{model}", knobs, problems) for model, knobs in per_model.items()
    }
    values["space"] = space
    if not all(isinstance(key, str) for key in values):
        return Draft(None, (*problems, "the spec has keys that are not text"))
    spec = _checked(values, problems)
    if spec is not None:
        problems += _idle(spec)
    unsaid = frozenset(key for key in _NEEDED if values.get(key) is _NEEDED[key])
    return Draft(spec, tuple(dict.fromkeys(problems)), unsaid)


# What stands for the entries that a spec has to have, where they are wrong.
_NEEDED: dict[str, Any] = {"task": "unsaid", "data": {"source": "unsaid"}}


def _checked(values: dict[str, Any], problems: list[str]) -> SearchSpec | None:
    """The spec that `values` stand for; what is wrong is told, and taken out of them."""
    touched: set[str] = set()
    for _ in range(2 * len(SearchSpec.model_fields)):  # at the most: each round takes an entry out
        try:
            return SearchSpec(**values)
        except ValidationError as error:
            found: list[dict[str, Any]] = [dict(detail) for detail in error.errors()]
        # A section that something was taken out of may lack it; that was not the user's fault.
        problems += [_line(detail) for detail in found if detail["loc"][:1] not in {(key,) for key in touched}]
        for detail in found:
            section, key = (*detail["loc"], None)[:2]
            touched.add(section)
            if isinstance(values.get(section), Mapping) and key in values[section]:
                values[section] = {other: value for other, value in values[section].items() if other != key}
            elif section in _NEEDED:
                values[section] = _NEEDED[section]
            else:
                values.pop(section, None)
    return None


def _idle(spec: SearchSpec) -> list[str]:
    """Entries that were written and can have no effect."""
    return [
        f"{section}.{key}: has no effect {why}; leave it out"
        for (section, key), why in spec.idle.items()
        if key in getattr(spec, section).model_fields_set and getattr(getattr(spec, section), key) is not None
    ]


def load(path: str | Path) -> SearchSpec:
    """Reads and checks a YAML file; `name` defaults to the file's own.

    Raises:
        SpecError: The file can't be read, or one line for each problem in it.
    """
    return parse({"name": Path(path).stem, **read_yaml(path)})


def read_yaml(path: str | Path) -> dict[str, Any]:
    """The mapping in a YAML file, with `1e-5` read as a number.

    Raises:
        SpecError: The file can't be read or holds no mapping.
    """
    path = Path(path)
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except FileNotFoundError:
        raise SpecError(f"{path}: there is no such file") from None
    except UnicodeDecodeError:
        raise SpecError(f"{path}: is not utf-8; save it as utf-8") from None
    except OSError as error:
        raise SpecError(f"{path}: can't be read: {error.strerror}") from None
    except _RepeatedKeyError as error:
        raise SpecError(f"{path}: line {error.line}: {error}; keep one of the two") from None
    except RecursionError:
        raise SpecError(f"{path}: not YAML: {_DEEP}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: the 13th month of a date, say
        raise SpecError(f"{path}: not YAML: {_fault(error)}") from None
    if not isinstance(raw, dict):
        raise SpecError(f"{path}: holds no spec; it has to be a mapping with `task` and `data`")
    return {str(key): value for key, value in raw.items()}


def read_value(text: str) -> Any:
    """One value as YAML has it, with `1e-5` read as a number.

    Raises:
        ValueError: `text` is not YAML, or has a key twice.
    """
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader
    except _RepeatedKeyError:
        raise
    except RecursionError:
        raise ValueError(f"not YAML: {_DEEP}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ValueError(f"not YAML: {_fault(error)}") from None


def write_yaml(spec: SearchSpec, path: Path) -> None:
    """Writes a spec so that `load` reads back an equal one."""
    path.write_text(yaml.safe_dump(spec.dump(), sort_keys=False, allow_unicode=True), encoding="utf-8")


_DEEP = "it is nested too deep"


def _fault(error: Exception) -> str:
    """What YAML found, on one line and without the piece of text that it quotes: that may hold a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark = error.problem_mark
        return f"line {mark.line + 1}, column {mark.column + 1}: {error.problem}"
    return " ".join(str(error).split())


class _RepeatedKeyError(ValueError):
    """A mapping has a key twice; YAML itself would drop the first without a word."""

    def __init__(self, key: object, line: int) -> None:
        super().__init__(f"{key!r} stands there twice")
        self.line = line


class _Loader(yaml.SafeLoader):
    """A SafeLoader that reads `1e-5` as a number, as YAML 1.2 does, and refuses a key that stands there twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode) and key_node.tag != "tag:yaml.org,2002:merge":
                key = self.construct_object(key_node)
                if key in seen:
                    raise _RepeatedKeyError(key, key_node.start_mark.line + 1)
                seen.add(key)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: list(resolvers) for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.\d+|\d+(\.\d*)?)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def _line(detail: dict[str, Any]) -> str:
    """One of pydantic's findings as `path: what, and what would be right`."""
    location = [str(part) for part in detail["loc"]]
    path = ".".join(location) or "spec"
    kind, found = detail["type"], detail["input"]
    if kind == "extra_forbidden":
        return f"{path}: unknown key{nearest(location[-1], _keys(location[:-1]))}"
    if kind == "missing":
        return f"{path}: missing; {_hint(location)}"
    if path == "data" and kind == "model_type":
        return f"{path}: found {shown(found)}; {_hint(location)}"
    message = str(detail["msg"]).removeprefix("Value error, ")
    if kind in {"value_error", "secret"}:
        return f"{path}: {message}"
    if kind == "string_type" and isinstance(found, int | float | date):
        return f"{path}: found {shown(found)}, which YAML does not take for a text; put it in quotes"
    return f"{path}: found {shown(found)}; {_WANTED.get(kind) or f'{message[:1].lower()}{message[1:]}'}"


# What pydantic says in Python's words.
_WANTED = {
    "string_too_short": "leave it out or give a value",
    "string_type": "it has to be a text",
    "tuple_type": "it has to be a list",
    "dict_type": "it has to be a mapping, {key: value}",
    "model_type": "it has to be a mapping, {key: value}",
}


def _keys(location: list[str]) -> Iterable[str]:
    model: Any = SearchSpec
    for part in location:
        model = model.model_fields[part].annotation
    return (*model.model_fields, *(("model",) if location == ["space"] else ()))


def _hint(location: list[str]) -> str:
    return {
        "task": "name one, for example `task: text-classification`; `autoft tasks` lists them",
        "data": "say where the data are, for example `data: reviews.csv`",
    }.get(".".join(location), "it is needed")
