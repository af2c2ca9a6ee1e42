"""From a YAML file and keywords to a checked spec."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from autoft.assets import PREFIX
from autoft.errors import InputError, SpecError
from autoft.spec import RUNS, Draft, SearchSpec, is_name, parse_draft, read_yaml
from autoft.words import nearest, shown

# Where each keyword of `search` stands in a spec.
_OPTIONS = {
    **dict.fromkeys(("name", "task", "metric", "models"), ()),
    **dict.fromkeys(("text", "text_pair", "label", "separator", "split", "limit", "clean", "encoding"), ("data",)),
    **dict.fromkeys(("config", "train", "validation", "test", "validation_size", "test_size"), ("data",)),
    **dict.fromkeys(("trials", "budget", "sampler", "scheduler", "patience", "seed", "against", "within"), ("search",)),
    **dict.fromkeys(("finalists", "repeats"), ("finals",)),
    **dict.fromkeys(("workers", "cpus_per_trial", "gpus_per_trial"), ("resources",)),
    "experiment": ("tracking",),
}
_MAPPINGS = ("search", "finals", "resources", "tracking", "space", "per_model")


def make_spec(path: str | Path | None = None, **options: Any) -> SearchSpec:
    """A checked spec from a YAML file, from keywords, or from both; a keyword goes before the file.

    Args:
        path: The YAML file.
        options: `data` (a path, `asset:NAME`, a hub id or a mapping), `task` (a name, a reference such as
            `my_task:Toxicity`, or the task itself), `text`, `label`, `models`, `budget`,
            `trials`, … and whole sections (`search={"eta": 4}`).

    Raises:
        SpecError: One line for each problem.
    """
    draft = _draft(path, options)
    if draft.problems or draft.spec is None:
        raise SpecError(*draft.problems)
    return draft.spec


def sound_spec(path: str | Path | None = None, *, runs: str | Path = RUNS, **options: Any) -> SearchSpec:
    """As `make_spec`; where the spec is wrong, what else is wrong with the search is told with it.

    Raises:
        InputError: One line for each problem, of the spec, its data, its models and its folder.
    """
    from autoft import tasks

    draft = _draft(path, options)
    if draft.spec is not None and not draft.problems:
        with suppress(SpecError):  # which is told with the rest
            tasks.get(draft.spec.task)
            return draft.spec
    from autoft.mistakes import further

    raise InputError(*dict.fromkeys([*draft.problems, *further(draft, Path(runs))]))


def _draft(path: str | Path | None, options: Mapping[str, Any]) -> Draft:
    raw: dict[str, Any] = {"name": Path(path).stem, **read_yaml(path)} if path is not None else {}
    problems: list[str] = []
    options = dict(options)
    if "task" in options and not isinstance(options["task"], str):
        from autoft import tasks

        options["task"] = tasks.reference(options["task"])
    source = options.pop("data", None)
    if source is not None:
        raw["data"] = (
            dict(source) if isinstance(source, Mapping) else {**_section(raw, "data", problems), "source": str(source)}
        )
        for given in ("train", "validation", "test") if not isinstance(source, Mapping) else ():
            raw["data"].pop(given, None)
    for key, value in options.items():
        if key == "tracking_uri":
            raw["tracking"] = {**_section(raw, "tracking", problems), "uri": value}
        elif key == "finals" and isinstance(value, bool):  # short for all of it, or none
            raw[key] = value
        elif key in _MAPPINGS:
            raw[key] = _merged(key, raw.get(key), value, problems, depth=2 if key == "per_model" else 1)
            if raw[key] is None:
                del raw[key]
        elif key not in _OPTIONS:
            problems.append(f"{key}: unknown option{nearest(key, [*_OPTIONS, *_MAPPINGS, 'data', 'tracking_uri'])}")
        elif section := _OPTIONS[key]:
            raw[section[0]] = {**_section(raw, section[0], problems), key: value}
        else:
            if key == "models" and isinstance(raw.get("space"), Mapping):
                raw["space"] = {knob: what for knob, what in raw["space"].items() if knob != "model"}
            raw[key] = value
    draft = parse_draft({**_named_after(raw.get("data")), **raw})
    return replace(draft, problems=tuple(dict.fromkeys([*problems, *draft.problems])))


def made(spec: SearchSpec | str | Path | None, runs: str | Path, options: Mapping[str, Any]) -> SearchSpec:
    """A spec that is made already, or one of a file and keywords; see `sound_spec`.

    Raises:
        InputError: One line for each problem, of the spec, its data, its models and its folder.
    """
    if not isinstance(spec, SearchSpec):
        return sound_spec(spec, runs=runs, **options)
    if options:
        raise SpecError(f"{next(iter(options))}: this spec is made already; give options or a spec, not both")
    return spec


def _named_after(data: Any) -> dict[str, str]:
    """The name of a search that is given none: its data's, where that can be the name of a folder."""
    source = data.get("source") if isinstance(data, Mapping) else data
    name = Path(str(source or "").removeprefix(PREFIX)).stem
    return {"name": name} if is_name(name) else {}


def _section(raw: Mapping[str, Any], name: str, problems: list[str]) -> dict[str, Any]:
    value = raw.get(name)
    if isinstance(value, Mapping):
        return dict(value)
    if value is None:
        return {}
    if name == "data":
        return {"source": value}
    problems.append(f"{name}: found {shown(value)}, which is no mapping; write it as {{key: value}}")
    return {}


def _merged(path: str, old: Any, new: Any, problems: list[str], *, depth: int) -> Any:
    """`new` laid over `old`; what should be a mapping and is none is told."""
    if depth == 0:
        return new
    for value in (new, {} if old is None else old):
        if not isinstance(value, Mapping):
            problems.append(f"{path}: found {shown(value)}, which is no mapping; write it as {{key: value}}")
            return next((mapping for mapping in (new, old) if isinstance(mapping, Mapping)), None)
    laid = dict(old or {})
    for key, value in new.items():
        laid[key] = _merged(f"{path}.{key}", laid.get(key), value, problems, depth=depth - 1)
    return laid
