"""From a source in py:percent form to the cells of a notebook.

A cell opens with ``# %%``, and may say of which kind it is: ``[markdown]`` is text; ``[check]`` asserts what
the text claims, runs when notebooks are built, and is no part of them; ``[install]`` runs first on Colab.
Python in a fenced block of text, as in a folded solution, runs when notebooks are built, too.
"""

import hashlib
import re
import textwrap
from pathlib import Path
from typing import Any, NamedTuple

FOLDER = Path(__file__).parent
OPENING = re.compile(r"^# %%(?: \[(markdown|check|install)\])?\n", re.MULTILINE)
FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


class Cell(NamedTuple):
    """A cell of a source.

    Attributes:
        kind: "markdown", "code", "check", "install", or "solution": Python in a text.
        source: text or Python.
        id: as stable as the source is.
    """

    kind: str
    source: str
    id: str

    @property
    def shown(self) -> bool:
        """Whether it stands in the notebook."""
        return self.kind not in ("check", "solution")


def sources() -> list[Path]:
    """The sources, in order."""
    return sorted(FOLDER.glob("[0-9][0-9]_*.py"))


def cells(source: str) -> list[Cell]:
    """The cells of a source, and after each text the Python that stands in it.

    >>> [cell.kind for cell in cells("# %% [markdown]\\n# A text.\\n\\n# %%\\n1 + 1\\n")]
    ['markdown', 'code']
    """
    opening, *parts = OPENING.split(source)
    if opening.strip():
        raise ValueError(
            f"expected a source to open with a cell, `# %%`, got {opening[:40]!r}"
        )
    found: list[Cell] = []
    for kind, body in zip(parts[::2], parts[1::2], strict=True):
        text = body.strip("\n")
        if kind == "markdown":
            text = "\n".join(
                line.removeprefix("#").removeprefix(" ") for line in text.splitlines()
            )
        found.append(_cell(kind or "code", text, found))
        if kind == "markdown":
            found += [_cell("solution", code, found) for code in FENCED.findall(text)]
    return found


def _cell(kind: str, text: str, before: list[Cell]) -> Cell:
    digest = hashlib.sha256(f"{kind}\n{text}".encode()).hexdigest()[:8]
    again = sum(cell.id.startswith(digest) for cell in before)
    return Cell(kind, textwrap.dedent(text), f"{digest}-{again}" if again else digest)


def as_notebook(cell: Cell) -> dict[str, Any]:
    """The cell as a notebook has it, not run."""
    kind = "markdown" if cell.kind == "markdown" else "code"
    made: dict[str, Any] = {"cell_type": kind, "id": cell.id, "metadata": {}}
    made["source"] = cell.source.splitlines(keepends=True)
    if kind == "code":
        made |= {"execution_count": None, "outputs": []}
    if cell.kind == "install":
        made["metadata"] = {"tags": ["install"]}
    return made


def notebook(found: list[dict[str, Any]], source: str) -> dict[str, Any]:
    """A notebook of these cells, which were made from this source.

    Its digest is of the *whole* source: a check that changed since the build shows, though no cell did.
    """
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    digest = hashlib.sha256(source.encode()).hexdigest()
    metadata = {
        "kernelspec": kernel,
        "language_info": {"name": "python"},
        "source_sha256": digest,
    }
    return {"cells": found, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
