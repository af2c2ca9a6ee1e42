"""The `autoft` command: reads options, calls `autoft.api`, prints. One module for each subcommand.

Nothing heavy is imported before a subcommand runs, so that `autoft --help` answers at once.
"""

from autoft.cli.app import main

__all__ = ["main"]
