"""The command ``softsign``: one file per subcommand, `main` around them.

A shell that completes a line waits for this module, so NumPy and rich are imported where they are used.
"""

import os
import sys
from typing import Any, NoReturn

__all__ = ["main"]

#: Extras that bring a package, by its import name, if the extra "cli" does not.
_EXTRAS = {
    "torch": ["study"],
    "plotly": ["study"],
    "distributed": ["study", "scale"],
    "soundfile": ["audio"],
    "OpenImageIO": ["tonemap"],
}

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
    """Run the command in this process and exit.

    The exit code is 0, 2 after an error and 130 after an interrupt, both with one line on standard error. An
    exception that reaches the caller is a defect of this package. Signals are the business of
    `softsign_command`, in which the command begins.
    """
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
    if sys.stdout is None:
        return _complain("standard output is closed; the command has nowhere to say what it did")
    import typer

    try:
        code: Any = _command()(arguments, prog_name="softsign", standalone_mode=False)
        sys.stdout.flush()
    except typer.TyperException as error:
        return _complain(_renamed(arguments) or error.format_message())
    except OSError as error:
        return _complain(": ".join(str(part) for part in (error.filename, error.strerror or error) if part))
    except MemoryError as error:
        return _complain(f"not enough memory: {error}")
    except RecursionError:
        return _complain("the input is nested too deeply")
    except SystemExit as end:
        if end.code != 1:
            raise
        return _complain("standard output: Broken pipe")  # Typer and rich say nothing of it
    return code or 0


def _command() -> Any:
    """Return the command with all its subcommands, as Typer makes it."""
    import typer

    from softsign.cli import _help, apply, audio, compand, demo, explore, info, onnx, plot, study, tonemap

    def version(wanted: bool) -> None:
        if wanted:
            from softsign import __version__

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
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        callback=root,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    commands = (
        demo.demo,
        study.study,
        apply.apply,
        audio.audio,
        compand.compand,
        compand.expand,
        plot.plot,
        explore.explore,
        tonemap.tonemap,
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
    print(f"softsign: {' '.join(message.split())}\n", end="", file=sys.stderr)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # standard output is what is wrong: let nothing try it again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 2
