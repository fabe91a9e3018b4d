"""The command ``softsign``: one file per subcommand, `main` around them."""

import os
import signal
import sys
from typing import Any, NoReturn

from softsign import __version__

__all__ = ["main"]

#: Commands of old, and what they are called now.
_RENAMED = {name: f"onnx {name}" for name in ("run", "gradients", "fix")}

#: Extras that a package comes with, if it does not come with the command.
_EXTRAS = {"torch": ["torch"], "distributed": ["torch", "scale"]}


def main() -> NoReturn:
    """Run the command and exit.

    The exit code is 0, or 2 after an error, 130 after an interrupt and 143 after a request to terminate, each with one
    line on standard error. An exception that reaches the caller is a defect of this package.
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
    if arguments[0] in _RENAMED:
        return _complain(f"softsign {arguments[0]} is now softsign {_RENAMED[arguments[0]]}")
    import typer

    from softsign.cli import apply, demo, info, onnx, plot, study

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

    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, callback=root)
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
    try:
        code: Any = app(arguments, prog_name="softsign", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _complain(error.format_message())
    except OSError as error:
        return _complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    return code or 0


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
