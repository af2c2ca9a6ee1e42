"""`autoft check`: reads everything, starts nothing, and says what a search would do."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoft.cli import options
from autoft.cli.given import takes_a_search
from autoft.words import RUNS, resume_command, visible

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

    from autoft.planning import Plan
    from autoft.spec import Finals


@takes_a_search
def check(
    given: dict[str, Any],
    *,
    runs: options.Runs = RUNS,
    replace: Annotated[
        bool, typer.Option("--replace", help="Allow for a search of the same name, as search does.")
    ] = False,
    json: options.Json = False,
) -> None:
    """Check a spec, its data and its models before anything is trained.

    Every problem is reported at once, a line each. Takes the options of `autoft search`.

    Examples:
      autoft check search_spaces/quickstart.yaml
      autoft check --task text-classification --data reviews.csv --text review --label sentiment
    """
    from rich.console import Console

    from autoft import api

    plan = api.check(api.sound_spec(runs=runs, **given), runs)
    note = _taken(runs / plan.spec.name, replace)
    if note:
        plan = dataclasses.replace(plan, notes=(*plan.notes, note))
    if json:
        typer.echo(_json(plan))
    else:
        Console(highlight=False).print(view(plan, ready=not note or replace))


def _taken(folder: Path, replace: bool) -> str:
    """What `autoft search` will say or do of a search that has the name already; empty where there is none."""
    if not folder.exists():
        return ""
    if replace:
        return f"{folder} exists already, and --replace deletes it, and its runs in MLflow"
    return f"{folder} exists already; go on with it ({resume_command(folder)}), take another --name, or add --replace"


def view(plan: Plan, *, ready: bool = True) -> RenderableType:
    """A plan as a person reads it: the data, the models, the space, and how it is searched.

    Args:
        plan: The plan.
        ready: A search with the same arguments would start.
    """
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for what, said in _facts(plan):
        facts.add_row(what, Text(said))
    searched = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    for heading in ("model", "knob", "searched"):
        searched.add_column(heading, overflow="fold")
    for model, knob, said in _searched(plan):
        searched.add_row(Text(model), knob, Text(said))
    warnings = plan.examination.warnings  # which stand with the other findings
    notes = [Text(f"note: {note}", "yellow") for note in (*plan.notes, *plan.splits.notes) if note not in warnings]
    findings = _findings(plan)
    return Group(
        facts,
        Text(),
        searched,
        *([Text(), *notes] if notes else []),
        *([Text(), *findings] if findings else []),
        Text(),
        Text("ready: run `autoft search` with the same arguments", "green")
        if ready
        else Text("all but the name is ready", "yellow"),
    )


def _findings(plan: Plan) -> list[Text]:
    """What the examination of the rows found, and one example of each."""
    from rich.text import Text

    from autoft.data.examination import Severity

    lines = []
    for finding in plan.examination.findings:
        warning = finding.severity is not Severity.NOTE
        lines.append(Text(f"{finding.severity}: {finding.sentence}", "yellow" if warning else ""))
        for example in finding.examples[:1]:
            places = ", ".join(f"{part} row {row}" for part, row in example.rows)
            lines.append(Text(f"  such as {places}: {_label(example.text, 80)}", "dim"))
    return lines


def _facts(plan: Plan) -> list[tuple[str, str]]:
    from autoft.words import format_duration

    spec, search = plan.spec, plan.spec.search
    size = plan.space.size
    bound = [f"{search.trials} trials"] if search.trials else []
    bound += [f"at most {format_duration(search.budget)}"] if search.budget else []
    rungs = f"rungs at {', '.join(f'{rung:,}' for rung in plan.rungs)} samples" if plan.rungs else "no rungs"
    found = [
        ("search", spec.name),
        (
            "task",
            spec.task
            + (f", {spec.metric}" if spec.metric else "")
            + (f" against {search.against}" if search.against else ""),
        ),
        ("data", f"{', '.join(f'{count:,} {part}' for part, count in plan.rows.items())} rows"),
    ]
    if plan.labels:
        shown = ", ".join(map(_label, plan.labels[:12])) + (
            f" and {len(plan.labels) - 12} more" if len(plan.labels) > 12 else ""
        )
        found.append(("labels", f"{len(plan.labels)}: {shown}"))
    for i, model in enumerate(plan.models):
        found.append(("" if i else "models", f"{model.name}: {model.blocks} blocks, {model.size / 1e6:,.0f} MB"))
    found += [
        ("space", f"{size:,.0f} configurations" if size < 1e9 else "continuous"),
        ("how", ", ".join([search.sampler, search.scheduler, rungs])),
        ("bounds", ", ".join([*bound, f"{plan.workers} {'worker' if plan.workers == 1 else 'workers'}"])),
        ("finals", finals_line(spec.finals.where(search.within))),
    ]
    return found


def finals_line(finals: Finals) -> str:
    """What competes and is trained once the search is over."""
    if finals.off:
        return "none, the best trial wins"
    again = f", again with {finals.repeats} {'other seed' if finals.repeats == 1 else 'other seeds'}"
    best = "the best trial" if finals.finalists == 1 else f"the {finals.finalists} best trials"
    more = [name for name, wanted in (("the plain recipe", finals.plain), ("a soup", finals.soup)) if wanted]
    return "; ".join([best + (again if finals.repeats else ""), *more])


def _label(label: str, longest: int = 40) -> str:
    text = visible(" ".join(str(label).split()))
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _searched(plan: Plan) -> list[tuple[str, str, str]]:
    """What is searched, shared dimensions once; fixed knobs are left out."""
    from autoft.records import CONDITIONS
    from autoft.space import Choice, describe

    names = {model.ref: model.name for model in plan.models}
    spaces = {model: plan.space.dimensions(model) for model in plan.space.models}
    rows = []
    for knob in next(iter(spaces.values())):
        shared = all(space[knob] == next(iter(spaces.values()))[knob] for space in spaces.values())
        for model, space in list(spaces.items())[: 1 if shared else None]:
            dimension = space[knob]
            if shared and isinstance(dimension, Choice) and len(dimension.values) == 1:
                continue
            parent, values = CONDITIONS.get(knob, ("", ()))
            above = space.get(parent)
            free = isinstance(above, Choice) and len(above.values) > 1
            when = f" (with {parent} {' or '.join(str(value) for value in values if value)})" if free else ""
            where = "all" if shared and len(spaces) > 1 else names.get(model, model)
            rows.append((where, knob, describe(dimension) + when))
    return rows


def _json(plan: Plan) -> str:
    import json
    from dataclasses import asdict

    from autoft.space import describe

    said: dict[str, Any] = {
        "spec": plan.spec.dump(),
        "models": [asdict(model) for model in plan.models],
        "rows": dict(plan.rows),
        "labels": list(plan.labels),
        "space": {
            model: {knob: describe(dimension) for knob, dimension in plan.space.dimensions(model).items()}
            for model in plan.space.models
        },
        "rungs": list(plan.rungs),
        "workers": plan.workers,
        "notes": [*plan.notes, *plan.splits.notes],
        "examination": plan.examination.as_dict(),
    }
    return json.dumps(said, indent=2, ensure_ascii=False)
