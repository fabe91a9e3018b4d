"""The command ``softsign``: one file per subcommand, `main` around them."""

import os
import signal
import sys
from typing import Any, NoReturn

from softsign import __version__

__all__ = ["main"]

#: Extras that bring a package, by its import name, if the extra "cli" does not.
_EXTRAS = {"torch": ["study"], "plotly": ["study"], "distributed": ["study", "scale"]}

#: Commands and options of earlier versions, and what they are called now.
_RENAMED = {
    "softsign demo --engine": "--trainer",
    "softsign run": "softsign onnx run",
    "softsign gradients": "softsign onnx gradients",
    "softsign fix": "softsign onnx fix",
    "softsign study --rates": "--learning-rates",
    "softsign study --batch": "--batch-size",
    "softsign study --initialisations": "--initializations",
}


def main() -> NoReturn:
    """Run the command and exit.

    The exit code is 0, or 2 after an error, 130 after an interrupt and 143 after a request to terminate, each
    with one line on standard error. An exception that reaches the caller is a defect of this package.
    """
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = _run(sys.argv[1:] or ["--help"])
    except KeyboardInterrupt:
        code = 130
    except ModuleNotFoundError as error:
        package = (error.name or "softsign").partition(".")[0]
        if package == "softsign":
            raise
        extras = ",".join(["cli", *_EXTRAS.get(package, [])])
        code = _complain(f'{package} is not installed; this installs it: pip install "softsign[{extras}]"')
    if code == 130:
        _complain("interrupted")
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    import typer

    try:
        code: Any = _command()(arguments, prog_name="softsign", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _complain(_renamed(arguments) or error.format_message())
    except OSError as error:
        return _complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    return code or 0


def _command() -> Any:
    """Return the command with all its subcommands, as Typer makes it."""
    import typer

    from softsign.cli import _help, apply, demo, info, onnx, plot, study

    def version(wanted: bool) -> None:
        if wanted:
            typer.echo(f"softsign {__version__}")
            raise typer.Exit

    def root(
        version: bool = typer.Option(
            False, "--version", callback=version, is_eager=True, help="Print the version and exit."
        ),
    ) -> None:
        """softsign(x) = x / (1 + |x|) and its calculus, correctly rounded.

        New here? Run: softsign demo
        """

    # Without rich's markup, in which what stands in brackets vanishes, and its tables, which cut long names.
    app = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None, callback=root
    )
    commands = (
        demo.demo,
        study.study,
        apply.apply,
        plot.plot,
        info.info,
    )
    for command in commands:
        app.command()(command)
    app.add_typer(onnx.app)
    group = typer.main.get_command(app)
    _help.fit(group)
    return group


def _renamed(arguments: list[str]) -> str:
    """Return the line that names what an argument is called now, if it was renamed."""
    command = f"softsign {arguments[0]}"
    for name in (command, *(f"{command} {argument.partition('=')[0]}" for argument in arguments[1:])):
        if name in _RENAMED:
            return f"{name.rpartition(' ')[2] if ' -' in name else name} is now {_RENAMED[name]}"
    return ""


def _complain(message: str) -> int:
    """Say in one line what is wrong and return the exit code for it."""
    print("softsign:", " ".join(message.split()), file=sys.stderr)
    try:
        sys.stdout.flush()
    except OSError:  # standard output is what is wrong: let nothing try it again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 2


def _terminate(signal_number: int, frame: object) -> NoReturn:
    sys.exit(128 + signal_number)  # unlike the default, runs the clean-up of partial output
