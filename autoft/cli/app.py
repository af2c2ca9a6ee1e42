"""The command line as a whole: its subcommands, and what becomes of errors."""

from __future__ import annotations

import gc
import inspect
import os
import re
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from autoft.cli.assets import assets
from autoft.cli.check import check
from autoft.cli.export import export
from autoft.cli.predict import predict
from autoft.cli.reproduce import reproduce
from autoft.cli.resume import resume
from autoft.cli.search import search
from autoft.cli.show import show
from autoft.cli.tasks import tasks
from autoft.cli.ui import ui
from autoft.errors import AutoftError
from autoft.words import public_uri, visible

app = typer.Typer(
    name="autoft",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,  # `main` says what went wrong
    context_settings={"help_option_names": ["-h", "--help"]},
)


_SECRET = re.compile(
    r"token|password|passwd|secret|credential|api_?key|access_?key|private_?key|auth(?!or)", re.IGNORECASE
)

# New objects, by generation. The libraries that are imported here make a million; with Python's own 700 a fifth of the
# time of that goes into looking for garbage among them.
_COLLECTED_AFTER = (20_000, 10, 10)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"autoft {version('autoft')}")
        raise typer.Exit


def _help(command: Callable[..., None]) -> str:
    """The docstring of a command, with the lines of its examples kept as they are."""
    return re.sub(r"^(Examples:)$", "\b\n\\1", inspect.cleandoc(command.__doc__ or ""), flags=re.MULTILINE)


def _root(
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    """Find the best fine-tuned transformer for your data.

    Examples:
      autoft search search_spaces/quickstart.yaml
      autoft search --task text-classification --data reviews.csv --text review --label sentiment --budget 10m
      autoft predict reviews "what a film"
    """


for _command in (search, check, resume, show, predict, reproduce, export, ui, tasks, assets):
    app.command(help=_help(_command))(_command)
app.callback(help=_help(_root))(_root)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command line and leaves the process.

    The exit code is 0 when done, 1 when it failed, 2 when the input is wrong, 130 when the user stopped it.

    Args:
        arguments: What follows `autoft`; by default what this process was started with.

    Raises:
        SystemExit: Always.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read when the hub's client is imported
    if arguments is None:
        gc.set_threshold(*_COLLECTED_AFTER)
    try:
        app(args=list(sys.argv[1:] if arguments is None else arguments), prog_name="autoft")
    except AutoftError as error:
        if _debug():
            _say(_without_secrets(traceback.format_exc()))
        for line in str(error).splitlines() or [type(error).__name__]:
            _say(line if error.exit_code == 130 else f"error: {line}")  # to stop on request is no error
        sys.exit(error.exit_code)
    except KeyboardInterrupt:  # Typer sees to the one inside a command; this one came before or after it
        _say("stopped")
        sys.exit(130)
    except Exception as error:
        details = _without_secrets(traceback.format_exc())
        if _debug():
            _say(details)
        else:
            _say(f"error: {_first_line(error)}; the details are in {_keep(details)}")
            _say("set AUTOFT_DEBUG=1 to see them here")
        sys.exit(1)
    finally:
        if arguments is None:  # the process ends here; a Ctrl-C from now on would only make its libraries complain
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            gc.freeze()  # else the interpreter looks through all of a million objects once more, for two seconds


def _debug() -> bool:
    return os.environ.get("AUTOFT_DEBUG", "") not in ("", "0")


def _say(line: str) -> None:
    typer.echo(_without_secrets(line), err=True)


def _without_secrets(text: str) -> str:
    """`text` without the passwords in its URIs, what the environment calls a secret, and control characters."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 6:  # less is a switch, or would be found in any word
            text = text.replace(value, "***")
    return visible(public_uri(text))


def _first_line(error: Exception) -> str:
    said = str(error).strip().splitlines()
    return f"unexpected {type(error).__name__}" + (f": {said[0]}" if said else "")


def _keep(details: str) -> str:
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="autoft-error-", suffix=".txt", delete=False, encoding="utf-8"
        ) as file:
            file.write(details)
    except OSError:
        return "nowhere (the temporary folder can't be written to)"
    return file.name
