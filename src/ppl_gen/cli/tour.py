"""``ppl-gen tour``."""

import argparse
from pathlib import Path
from time import perf_counter
from typing import Any

from ppl_gen.cli.options import FOLDER, Parser, add_json, add_seed, completed, room
from ppl_gen.cli.terminal import Terminal, plain

HELP = "five claims about four models, measured on real data"
DESCRIPTION = """\
Fit four models to data that scikit-learn ships, ask them questions and hold them against one another:
about a minute. Tells the story here, and writes an article (index.html), its figures and the posteriors
(netCDF, for ArviZ) into a folder."""


def add(parser: Parser) -> None:
    """The options."""
    out = parser.add_argument(
        "--out",
        metavar="DIR",
        default="ppl-gen-tour",
        help="the folder to write into, made if need be (default: %(default)s)",
    )
    completed(out, FOLDER)
    add_seed(parser)
    parser.add_argument(
        "--quick", action="store_true", help="cut every fit short: seconds instead of a minute"
    )
    add_json(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """Tell the story; returns its numbers and its files."""
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    room(out, out)
    from ppl_gen.isolation import one_thread
    from ppl_gen.tour import FULL, QUICK, Tour  # heavy imports wait until they are needed

    started = perf_counter()
    with one_thread():
        tour = Tour(out, terminal.console, seed=options.seed, budget=QUICK if options.quick else FULL)
        tour.run()
    w = tour.workshop
    found: dict[str, Any] = plain(
        {
            "folder": str(out),
            "seed": options.seed,
            "numbers": [dict(zip(("what", "value", "how"), number, strict=True)) for number in w.numbers],
            "files": [name for name, _ in w.files],
            "seconds": round(perf_counter() - started, 3),
        }
    )
    return found
