"""Build the notebooks: ``python -m tutorials [01 …]``, or only try the sources with ``--smoke``.

Every cell runs, the checks and the solutions too; the first that fails ends the build, and leaves the
notebook that was there. Figures are reduced to 255 colours, and what depends on the machine is left out.
"""

import argparse
import base64
import io
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

from tutorials.percent import Cell, as_notebook, cells, notebook, sources
from tutorials.running import run
from tutorials.smoke import smoke

# Progress bars stand still on a page, and say nothing there.
QUIET = "import rich.progress\nrich.progress.Progress.__init__.__kwdefaults__['disable'] = True"


def build(source: Path) -> Path:
    """Run a source from end to end, and write its notebook beside it."""
    written = source.read_text(encoding="utf-8")
    found = [Cell("check", QUIET, "quiet"), *cells(written)]
    programs = [cell for cell in found if cell.kind != "markdown"]
    with tempfile.TemporaryDirectory() as folder:  # no lesson depends on where it runs
        outputs = run([cell.source for cell in programs], Path(folder))
    seen = {cell.id: shown for cell, shown in zip(programs, outputs, strict=True)}
    shown, count = [], 0
    for cell in found:
        if not cell.shown:
            continue
        made = as_notebook(cell)
        if made["cell_type"] == "code":
            count += 1
            made["execution_count"] = count
            made["outputs"] = [
                clean(output, count) for output in seen[cell.id] if lasting(output)
            ]
        shown.append(made)
    target = source.with_suffix(".ipynb")
    whole = notebook(shown, written)
    text = json.dumps(whole, indent=1, ensure_ascii=False, sort_keys=True)
    target.write_text(text + "\n", encoding="utf-8")
    return target


def lasting(output: dict[str, Any]) -> bool:
    """Whether an output says anything on a page: widgets do not."""
    return "application/vnd.jupyter.widget-view+json" not in output.get("data", {})


def clean(output: dict[str, Any], count: int) -> dict[str, Any]:
    """An output with small pictures, and without the traces of one run."""
    made = json.loads(json.dumps(output))
    if "execution_count" in made:
        made["execution_count"] = count
    data = made.get("data", {})
    if "image/png" in data:
        data["image/png"] = reduced(data["image/png"])
        data["text/plain"] = "<figure>"
        made["metadata"] = {}
    return made


def reduced(picture: str) -> str:
    """A PNG picture in 255 colours."""
    from PIL import Image

    content = io.BytesIO()
    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    few = image.quantize(
        255, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE
    )  # keeps colours of small dots
    few.save(content, "png", optimize=True)
    return base64.b64encode(content.getvalue()).decode()


def main() -> int:
    """Build, or try, the lessons whose names begin as asked."""
    parser = argparse.ArgumentParser(prog="python -m tutorials", description=__doc__)
    parser.add_argument(
        "lessons", nargs="*", metavar="01", help="the numbers of lessons (default: all)"
    )
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="cut fits short, check nothing, write nothing",
    )
    options = parser.parse_args()
    for source in sources():
        if options.lessons and not source.name.startswith(tuple(options.lessons)):
            continue
        started = perf_counter()
        print(source.stem, end=" ", flush=True)
        said = "ran" if options.smoke else ""
        if options.smoke:
            smoke(source)
        else:
            target = build(source)
            said = f"{target.stat().st_size / 1e3:,.0f} kB"
        print(f"{said} in {perf_counter() - started:,.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
