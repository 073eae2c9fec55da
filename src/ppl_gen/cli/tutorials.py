"""``ppl-gen tutorials``."""

import argparse
import json
from pathlib import Path
from typing import Any

import ppl_gen
from ppl_gen.cli.options import FOLDER, Parser, add_json, completed, whole_file, writable
from ppl_gen.cli.terminal import Terminal
from ppl_gen.errors import DataError

HELP = "the lessons, as notebooks in a folder"
DESCRIPTION = """\
Copy the tutorials into a folder, as Jupyter notebooks that run offline. They came with the package; they
are in order a course, and each stands alone. Notebooks that are there already, and that differ, are left
as they are: they may hold your work."""
PLACES = ("tutorials", "../../tutorials")  # of an installed package, and of a clone


def add(parser: Parser) -> None:
    """The options."""
    words = "the folder to write into, made if need be"
    completed(parser.add_argument("folder", metavar="DIR", help=words), FOLDER)
    parser.add_argument("--overwrite", action="store_true", help="replace notebooks that differ")
    add_json(parser)


def notebooks() -> list[Path]:
    """The notebooks that came with this package, in order.

    Raises:
        DataError: there are none.
    """
    here = Path(ppl_gen.__file__).parent
    found = [path for place in PLACES for path in sorted((here / place).glob("[0-9][0-9]_*.ipynb"))]
    if not found:
        raise DataError("tutorials: this copy of ppl-gen came without them; install it from its wheel")
    return found


def title_of(notebook: Path) -> str:
    """The first heading."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    lines = "".join("".join(cell["source"]) + "\n" for cell in cells if cell["cell_type"] == "markdown")
    return next((line.lstrip("# ") for line in lines.splitlines() if line.startswith("# ")), notebook.stem)


def run(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """Copy them; returns what was copied, and what was left."""
    folder, found = Path(options.folder), notebooks()
    folder.mkdir(parents=True, exist_ok=True)
    writable(folder / found[0].name) if not (folder / found[0].name).exists() else None
    copied: list[str] = []
    left: list[str] = []
    for notebook in found:
        target, content = folder / notebook.name, notebook.read_bytes()
        differs = target.exists() and target.read_bytes() != content
        if differs and not options.overwrite:
            left.append(notebook.name)
            continue
        whole_file(target, content)
        copied.append(notebook.name)
    for notebook in found:
        mark = "  (left as it is: it differs; --overwrite replaces it)" if notebook.name in left else ""
        terminal.say(f"{folder / notebook.name}  {title_of(notebook)}{mark}")
    terminal.say("", f"Open them with: jupyter lab {folder}")
    return {"folder": str(folder), "copied": copied, "left": left}
