"""The documentation site. `make docs` builds it in build/site, where it works without network or server.

The pages also have to read well on a code host, so Sphinx's own syntax is kept out of them:

- The navigation is made of the links in index.md, one part of it for each of its sections.
- ```` ```math ```` is a formula.
- A picture below the comment ``<!-- figure: NAME -->`` gives its place to a live figure: it is put into
  ``<div data-figure="NAME">``, whose content the script ``_static/explorer.js``, if there is one, replaces.
- explorer.md gives its place to the explorer, whose links to pages then work.
- Only the pages in reference/ have directives; what they say is made of docstrings and of the command's help.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import sphinxcontrib.katex
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.ext.autodoc import FunctionDocumenter
from sphinx.transforms import SphinxTransform
from sphinx.util.docutils import SphinxDirective

import softsign
from softsign import cli, onnx

DOCS = Path(__file__).parent
#: From npm; `make docs` puts it there. sphinxcontrib-katex brings the script of the same version alone.
KATEX = DOCS.parent / "build" / "katex" / "node_modules" / "katex" / "dist"

project = "softsign"
version = release = softsign.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "numpydoc", "sphinxcontrib.katex"]
root_doc = "index"

# It is called Softsign as engines take the operator's name from it, and autodoc the name of the class.
onnx.ReferenceSoftsign.__name__ = "ReferenceSoftsign"

myst_heading_anchors = 3
myst_fence_as_directive = ["math"]

autodoc_typehints = "none"
autodoc_default_options = {"members": True}
numpydoc_show_class_members = False

katex_prerender = True
katex_css_path = "katex/katex.min.css"
sphinxcontrib.katex.KATEX_DEFAULT_OPTIONS["throwOnError"] = True  # instead of printing the formula in red
# Through a port: of a Unix socket the extension does not wait until Node listens, nor on either for long.
sphinxcontrib.katex.KaTeXServer.start_server_process = sphinxcontrib.katex.KaTeXServer.start_network_socket
sphinxcontrib.katex.STARTUP_TIMEOUT = sphinxcontrib.katex.RENDER_TIMEOUT = 60

html_theme = "furo"
html_show_copyright = False
html_title = "softsign"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["site.css"]
html_js_files = [("explorer.js", {"defer": "defer"})] if (DOCS / "_static" / "explorer.js").exists() else []
html_copy_source = False
html_show_search_summary = False  # a page of a folder may not fetch others, which have the summaries


class Navigation(SphinxTransform):
    """Make the navigation of the links in index.md."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Change the page."""
        if self.env.docname != root_doc:
            return
        for section in self.document.findall(nodes.section):
            pages = [link["reftarget"] for link in section.findall(addnodes.pending_xref)]
            pages = [os.path.normpath(page.removesuffix(".md")) for page in dict.fromkeys(pages)]
            pages = [page for page in pages if page in self.env.found_docs]
            if section.parent is not self.document and pages:
                section += addnodes.toctree(
                    parent=root_doc,
                    entries=[(None, page) for page in pages],
                    includefiles=pages,
                    caption=section[0].astext(),
                    rawcaption=section[0].astext(),
                    rawentries=[],
                    hidden=True,
                    maxdepth=1,
                    titlesonly=True,
                    glob=False,
                    numbered=0,
                    includehidden=False,
                )


class LiveFigures(SphinxTransform):
    """Put a picture below ``<!-- figure: NAME -->`` where a script finds it by that name."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Change the page."""
        for comment in list(self.document.findall(nodes.raw)):
            if found := re.fullmatch(r"<!-- figure: (\w+) -->\s*", comment.astext()):
                opening = f'<div data-figure="{found[1]}">'
                picture = comment.next_node(siblings=True, descend=False)
                picture.parent.insert(
                    picture.parent.index(picture) + 1, nodes.raw("", "</div>", format="html")
                )
                comment.replace_self(nodes.raw("", opening, format="html"))


class Listings(SphinxTransform):
    """Take off the empty line that ends the examples that pytest runs."""

    default_priority = 500

    def apply(self, **_: Any) -> None:
        """Change the page."""
        for listing in self.document.findall(nodes.literal_block):
            listing.rawsource = listing.astext().rstrip()
            listing[:] = [nodes.Text(listing.rawsource)]


class UfuncDocumenter(FunctionDocumenter):
    """A ufunc, whose signature is the first line of its docstring."""

    objtype = "ufunc"
    directivetype = "function"
    priority = FunctionDocumenter.priority + 10

    @classmethod
    def can_document_member(cls, member: Any, membername: str, isattr: bool, parent: Any) -> bool:
        """Tell whether something is a ufunc."""
        return isinstance(member, np.ufunc)

    def format_args(self, **_: Any) -> str:
        """Return the signature."""
        line: str = self.object.__doc__.partition("\n")[0]
        return line[line.index("(") :]


class Help(SphinxDirective):
    """The help of the command and of each of its subcommands, a section each."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        return list(_help("softsign", cli._command(), None))


def _help(name: str, command: Any, above: Any) -> Iterator[nodes.section]:
    context = command.make_context(name, [], parent=above, resilient_parsing=True)
    words = context.command_path
    section = nodes.section(ids=[words.replace(" ", "-")])
    section += nodes.title("", words)
    section += nodes.literal_block("", context.get_help(), language="text")
    yield section
    for below, subcommand in getattr(command, "commands", {}).items():
        yield from _help(below, subcommand, context)


def without_headings(app: Sphinx, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Let a heading in a module's docstring be bold text: it would be one of the page, and be there twice."""
    if what == "module":
        for number, line in enumerate(lines):
            if line and set(line) == {"-"}:
                lines[number - 1 : number + 1] = [f"**{lines[number - 1]}**", ""]


def copy_katex(app: Sphinx, exception: Exception | None) -> None:
    """Copy the style sheet and the fonts of formulas."""
    if exception is None:
        target = Path(app.outdir, "_static", "katex")
        shutil.copytree(
            KATEX / "fonts",
            target / "fonts",
            ignore=shutil.ignore_patterns("*.ttf", "*.woff"),
            dirs_exist_ok=True,
        )
        shutil.copy(KATEX / "katex.min.css", target)


def put_explorer(app: Sphinx, exception: Exception | None) -> None:
    """Put the explorer where explorer.md is, which says in a source tree how to open it."""
    if exception is None:
        page = Path(softsign.__file__).with_name("learn") / "explorer.html"
        placed = page.read_text().replace('<html lang="en"', '<html lang="en" data-site="."', 1)
        Path(app.outdir, "explorer.html").write_text(placed)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register what is above."""
    app.add_transform(Navigation)
    app.add_transform(LiveFigures)
    app.add_transform(Listings)
    app.add_autodocumenter(UfuncDocumenter)
    app.add_directive("command-help", Help)
    app.connect("autodoc-process-docstring", without_headings)
    app.connect("build-finished", copy_katex)
    app.connect("build-finished", put_explorer)
    return {"parallel_read_safe": True}
