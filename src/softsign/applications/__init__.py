"""Where softsign is used: sound, images, fitting, statistics, control.

Each module takes and returns what its field is used to, needs NumPy alone to be imported, and imports the
field's own library (SciPy, soundfile, statsmodels) when a function of it is called.
"""

import typing as _typing

if not _typing.TYPE_CHECKING:  # type checkers would take every name for one that is there

    def __getattr__(name: str) -> object:
        """Import a module when it is first asked for."""
        from importlib import import_module

        module = f"{__name__}.{name}"
        if not name.startswith("_"):
            try:
                return import_module(module)
            except ModuleNotFoundError as error:
                if error.name != module:
                    raise
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """List the modules, imported or not."""
        from pkgutil import iter_modules

        return sorted(module.name for module in iter_modules(__path__) if not module.name.startswith("_"))
