"""The pages of the documentation, and the extension that completes them, for tests without Sphinx."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

DOCS = Path(__file__).parents[2] / "docs"
MODEL_PAGES = sorted(path for path in (DOCS / "models").glob("*.md") if path.stem != "index")
WRITTEN = sorted([*DOCS.glob("*.md"), *(DOCS / "models").glob("*.md")])  # by hand, not by the extension
NOTEBOOKS = [path for path in WRITTEN if "file_format: mystnb" in path.read_text()]


def part(name: str) -> ModuleType:
    """A module of docs/extension that needs no Sphinx."""
    full = f"ppl_gen_docs_{name}"
    if full not in sys.modules:
        spec = importlib.util.spec_from_file_location(full, DOCS / "extension" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        sys.modules[full] = module
        spec.loader.exec_module(module)
    return sys.modules[full]


def blocks(page: Path, kind: str = "python") -> list[str]:
    """The code of a page in fences of this kind, without the options of cells."""
    fence = re.escape(kind)
    found = re.findall(rf"^```{fence}\n(.*?)^```", page.read_text(), re.M | re.S)
    return [re.sub(r"\A(?::.*\n)+", "", code) for code in found]
