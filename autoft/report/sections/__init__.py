"""The sections of a written report, the verdict first. Each copes with a report that says nothing about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.report.blocks import Section
from autoft.report.sections.data import about_data, examined
from autoft.report.sections.entrants import entrants
from autoft.report.sections.front import front
from autoft.report.sections.quality import answers
from autoft.report.sections.run import cost, leaderboard, recipe_and_versions, went
from autoft.report.sections.use import use
from autoft.report.sections.verdict import verdict_section

_ALL = (
    verdict_section,
    entrants,
    answers,
    went,
    front,
    leaderboard,
    about_data,
    examined,
    cost,
    recipe_and_versions,
    use,
)


def sections(report: Mapping[str, Any]) -> list[Section]:
    """All sections that there is something to say in.

    Args:
        report: As `autoft.report.build` makes it; keys of the finals, the examination and the pictures may be missing.
    """
    return [found for make in _ALL if (found := make(report))]
