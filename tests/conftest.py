import pytest
from hypothesis import settings

settings.register_profile("softsign", deadline=None)  # a shared machine can be slow; that is no failure
settings.load_profile("softsign")


def pytest_configure(config: pytest.Config) -> None:
    for marker in ("slow", "thread_unsafe"):  # NumPy's test_umath, which test_ufuncs.py imports, uses them
        config.addinivalue_line("markers", f"{marker}: set by NumPy's own tests")
