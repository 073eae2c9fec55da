"""What Sphinx does not know: formulas without scripts, pages made from the code, names in backticks."""

import builtins
import inspect
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError
from sphinx.util.inspect import stringify_signature

from ppl_gen import ProbabilisticModel, models

from . import mathml
from .model_pages import completed, overview
from .public import index, pages, slug

MODELS = {f"models/{slug(name)}": name for name in models.__all__}
PUBLIC = index()
# The documentation of other libraries is elsewhere, and the site is built without a network.
STRANGERS = {
    "torch", "pyro", "numpy", "np", "pandas", "pd", "matplotlib", "xarray", "arviz", "sklearn", "rich", "os",
    "collections", "typing", "types", "pathlib", "dataclasses", "contextlib", "abc", "enum", "datetime",
    "Axes", "DataFrame", "ExpandedDistribution", "Figure", "Module", "Tensor",
}  # fmt: skip


def name_in_backticks(
    role: str, rawtext: str, text: str, *_: Any, **__: Any
) -> tuple[list[nodes.Node], list[Any]]:
    """`name`: a link where it is public, code where it is not."""
    name, _, member = text.partition(".") if text not in PUBLIC else (text, "", "")
    code = nodes.literal(rawtext, text, classes=["py"])
    if name not in PUBLIC:
        return [code], []
    target = PUBLIC[name].name + (f".{member}" if member else "")
    link = pending_xref("", code, refdomain="py", reftype="obj", reftarget=target, refexplicit=True)
    return [link], []


def of_others(app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the methods by which scikit-learn routes metadata, which it writes by itself."""
    return True if re.fullmatch(r"set_\w+_request|get_metadata_routing", name) else None


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: nodes.Element) -> Any:
    """Find public names by their short ones; leave those of other libraries without a link."""
    target = node.get("reftarget", "")
    if node.get("refdomain") != "py":
        return None
    if (entry := PUBLIC.get(target)) and entry.name != target:
        found = env.domains["py"].resolve_xref(
            env, node["refdoc"], app.builder, "obj", entry.name, node, content
        )
        if found:
            return found
    first = target.partition(".")[0]
    if first in STRANGERS or hasattr(builtins, target) or inner(target):
        return content
    return None


def inner(target: str) -> bool:
    """Whether a type in a signature is one of ppl_gen's own that users do not import."""
    module, _, name = target.rpartition(".")
    return module.startswith("ppl_gen.") and hasattr(sys.modules.get(module), name)


def escape(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let |x| and *names of a docstring stand as they are, where they are not in double backticks."""
    for place, line in enumerate(lines):
        parts = re.split(r"(``.*?``)", line)
        parts[::2] = [
            re.sub(r"\|(?=\S[^|]*\S\|)|(?<=[\s(,])\*(?=\w+[^\w*])", r"\\\g<0>", p) for p in parts[::2]
        ]
        lines[place] = "".join(parts)


def endings(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Let fitted_ attributes stand as they are: to docutils an underscore at the end is a link."""
    for place, line in enumerate(lines):
        if not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(`+[^`]*`+)", line)
            parts[::2] = [re.sub(r"(?<=\w)_(?!\w)", r"\\_", part) for part in parts[::2]]
            lines[place] = "".join(parts)


def first_line(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Give a property the words back, up to a colon, that Napoleon took for its type."""
    for line in lines if what in ("property", "attribute") else ():
        if line.startswith(":type: "):
            lines.remove(line)
            lines[0] = f"{line.removeprefix(':type: ')}: {lines[0]}"
            return


def signature(app: Sphinx, what: str, name: str, obj: Any, options: Any, args: str, returns: str) -> Any:
    """Of a model, the arguments of its `__init__`: the `__new__` of all models takes whatever comes."""
    if not (inspect.isclass(obj) and issubclass(obj, ProbabilisticModel)):
        return (args.replace("<factory>", "..."), returns) if args else None
    own = inspect.signature(obj.__init__)
    own = own.replace(parameters=list(own.parameters.values())[1:], return_annotation=own.empty)
    return stringify_signature(own, unqualified_typehints=True), returns


def write_pages(app: Sphinx) -> None:
    """Write the pages of the API, and copy the tutorials, where there are any, beside the other pages."""
    source = Path(app.srcdir)
    written = {source / f"{name}.rst": text for name, text in pages()}
    for path, text in written.items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    for old in set((source / "api").glob("*.rst")) - written.keys():
        old.unlink()
    (source / "tutorials").mkdir(exist_ok=True)
    for notebook in sorted((source.parent / "tutorials").glob("*.ipynb")):
        shutil.copy2(notebook, source / "tutorials" / notebook.name)


def complete(app: Sphinx, name: str, text: list[str]) -> None:
    """Put what the code knows into the page of a model; leave out what would break a page.

    That are patterns of pages that no page fits, and comments, which end a table.
    """
    text[0] = re.sub(r"^<!--.*-->\n", "", text[0], flags=re.M)
    if name in MODELS:
        text[0] = completed(text[0], MODELS[name])
    if name == "models/index":
        text[0] += overview()
    for pattern in re.findall(r"^[\w/]+\*$", text[0], re.M):
        if not any((Path(app.srcdir) / name).parent.glob(f"{pattern}.*")):
            text[0] = text[0].replace(f"\n{pattern}\n", "\n")


def nothing_from_elsewhere(app: Sphinx, exception: Exception | None) -> None:
    """Refuse a site that would load a script, a style, a font or a picture from the network."""
    loads = r"""<(?:script|link|img|iframe|source)\b[^>]*\s(?:src|href)=["'](?:https?:)?//[^>]*>"""
    styles = r"""(?:url\(\s*["']?|@import\s*["'])(?:https?:)?//[^)"']*"""
    for path in [] if exception else sorted(Path(app.outdir).rglob("*")):
        pattern = {".html": f"{loads}|{styles}", ".css": styles}.get(path.suffix)
        if pattern and (found := re.search(pattern, path.read_text())):
            raise SphinxError(f"{path.relative_to(app.outdir)} loads from the network: {found[0]}")


def setup(app: Sphinx) -> dict[str, bool]:
    """Everything above."""
    kernels = Path(app.outdir).parent / "ipython"
    startup = kernels / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    shutil.copy2(Path(__file__).parent / "figures.py", startup)
    os.environ["IPYTHONDIR"] = str(kernels)
    os.environ["MPLBACKEND"] = "agg"  # of the kernels: figures are shown by what a cell returns
    mathml.setup(app)
    app.add_role("name", name_in_backticks)
    app.connect("builder-inited", write_pages)
    app.connect("source-read", complete)
    app.connect("missing-reference", resolve)
    app.connect("build-finished", nothing_from_elsewhere, priority=900)
    app.connect("autodoc-skip-member", of_others)
    app.connect("autodoc-process-signature", signature)
    app.connect("autodoc-process-docstring", escape, priority=400)  # before Napoleon
    app.connect("autodoc-process-docstring", first_line, priority=600)  # after it
    app.connect("autodoc-process-docstring", endings, priority=601)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
