"""``softsign explore``: the explorer, served to a browser on this machine."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softsign.cli._common import check_output, tell, written

if TYPE_CHECKING:
    from http.server import ThreadingHTTPServer

_PAGE = Path(__file__).parents[1] / "learn" / "explorer.html"


def _port(port: int) -> int:
    if not 1 <= port <= 65535:
        raise typer.BadParameter(f"{port} is not one of the ports, which are 1 to 65535.")
    return port


def explore(
    port: Annotated[
        int,
        typer.Option(
            callback=_port, help="Port from 1 to 65535 to serve it on, or the next one that is free."
        ),
    ] = 8765,
    no_browser: Annotated[
        bool, typer.Option("--no-browser", help="Only print the address, and open no browser.")
    ] = False,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the page, one file that needs no server.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Open pictures of softsign that move, in a browser, until Ctrl-C."""
    page = _PAGE.read_bytes()
    if save is not None:
        check_output(save, force=force)
        with written(save, force=force) as file:
            file.write(page)
        tell(save, f"the explorer, {len(page) / 1e6:.2f} MB; open it in a browser")
        return
    with _server(port, page) as server:
        address = f"http://127.0.0.1:{server.server_port}/"
        if server.server_port != port:
            typer.echo(f"port {port} is taken, so this is the next free one")
        typer.echo(f"{address} has the explorer; Ctrl-C ends it")
        if not no_browser:
            _open(address)
        server.serve_forever()


def _server(port: int, page: bytes) -> ThreadingHTTPServer:
    """Return a server of one page, on the first port from `port` on that is free."""
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/"
            body = page if found else b"The explorer is one page, at /\n"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", f"text/{'html' if found else 'plain'}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing of each request."""

    for candidate in range(port, 65536):
        try:
            return ThreadingHTTPServer(("127.0.0.1", candidate), Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise typer.TyperException(f"port {candidate}: {error.strerror}") from error
    raise typer.TyperException(f"no port from {port} on is free; name a lower one: --port {port // 2}")


def _open(address: str) -> None:
    """Open a browser, which may take as long as it is open: some run in the terminal."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=[address], daemon=True).start()
