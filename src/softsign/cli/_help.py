"""Help that fits a narrow terminal with nothing cut."""

import shutil
from typing import Any

import typer


class _Formatter(typer.Context.formatter_class):  # type: ignore[misc, valid-type]
    def __init__(self, **_: Any) -> None:
        super().__init__(width=min(shutil.get_terminal_size().columns, 80))

    def write_dl(self, rows: Any, **_: Any) -> None:
        """Leave 50 columns to the descriptions; a longer name gets a line of its own."""
        super().write_dl(rows, col_max=max(10, self.width - 50))


class _Context(typer.Context):
    formatter_class = _Formatter


def fit(command: Any) -> None:
    """Let the help of a command and of its subcommands, which Typer made, fit the terminal."""
    command.context_class = _Context
    command.short_help = (command.help or "").partition("\n\n")[0]
    for subcommand in getattr(command, "commands", {}).values():
        fit(subcommand)
