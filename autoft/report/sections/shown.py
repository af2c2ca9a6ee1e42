"""Where the pictures stand in the text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoft.report.blocks import Shown


def pictures(report: Mapping[str, Any], *keys: str) -> list[Shown]:
    """Those of some pictures that were drawn, in the order asked for."""
    found = {picture.key: picture for picture in drawn(report)}
    return [found[key] for key in keys if key in found]


def drawn(report: Mapping[str, Any]) -> list[Shown]:
    """All pictures that were drawn."""
    entries = report.get("pictures") or ()
    return [Shown(str(one["key"]), str(one.get("title", "")), str(one.get("caption", ""))) for one in entries]
