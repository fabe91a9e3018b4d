"""The threads of softsign in threadpoolctl: importing this module registers them there.

threadpoolctl finds a library by a controller that somebody has registered. From then on ``threadpool_info``
lists softsign and ``threadpool_limits`` limits it, as ``set_num_threads`` does; ``limits={"softsign": 1}``
means it alone. PyTorch's number of threads, which ``softsign.torch`` follows, is not concerned.

Examples
--------
>>> import softsign.threadpool
>>> from threadpoolctl import threadpool_limits
>>> with threadpool_limits(1):
...     softsign.get_num_threads()
1
"""

import threadpoolctl

import softsign

__all__ = ["Controller"]


class Controller(threadpoolctl.LibController):
    """What threadpoolctl asks about the threads of softsign."""

    user_api = "softsign"
    internal_api = "softsign"
    filename_prefixes = ("_core.",)
    check_symbols = ("softsign_get_num_threads",)

    def get_num_threads(self) -> int:
        """Return the number of threads that a call may use.

        Returns
        -------
        int
            As `softsign.get_num_threads`.
        """
        return softsign.get_num_threads()

    def set_num_threads(self, num_threads: int) -> None:
        """Change that number, within what softsign allows.

        Parameters
        ----------
        num_threads : int
            More than 1024 means 1024.
        """
        softsign.set_num_threads(min(num_threads, 1024))

    def get_version(self) -> str:
        """Return the version of softsign.

        Returns
        -------
        str
            As ``softsign.__version__``.
        """
        return softsign.__version__


threadpoolctl.register(Controller)
