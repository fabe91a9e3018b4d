import pytest
from hypothesis import settings

# No deadline: a shared machine can be slow, which is no failure.
settings.register_profile("softsign", deadline=None, max_examples=50)
settings.load_profile("softsign")


def pytest_configure(config: pytest.Config) -> None:
    for marker in ("slow", "thread_unsafe"):  # NumPy's test_umath, which test_ufuncs.py imports, uses them
        config.addinivalue_line("markers", f"{marker}: set by NumPy's own tests")
