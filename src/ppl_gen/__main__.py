"""The command line: ``ppl-gen tour``, or ``python -m ppl_gen tour``."""

import argparse
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

from ppl_gen import __version__
from ppl_gen.errors import Interrupted

__all__ = ["main"]

DESCRIPTION = """\
Probabilistic models as joint distributions: generative against discriminative.

  ppl-gen tour            fit four models to real data and ask them (about a minute)
  ppl-gen tour --quick    the same with fits cut short (seconds)
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 2 for a user's mistake, 130 after Ctrl-C."""
    options = _parser().parse_args(argv)
    if options.command is None:
        _parser().print_help()
        return 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Interrupted)  # Ctrl-C ends the tour, not only the fit at hand
            return _tour(options)
    except (KeyboardInterrupt, Interrupted):
        print("ppl-gen: stopped by Ctrl-C", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"ppl-gen: cannot write to {options.out}: {error.strerror or error}", file=sys.stderr)
        return 2


def _tour(options: argparse.Namespace) -> int:
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):  # find out before the work whether files can be made here
        pass
    import torch  # heavy imports wait until they are needed
    from rich.console import Console

    from ppl_gen.tour import FULL, QUICK, Tour

    console = Console(highlight=False, emoji=False)
    console.width = min(console.width, 88)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the tensors are small: more threads only wait for one another
    try:
        Tour(out, console, seed=options.seed, budget=QUICK if options.quick else FULL).run()
    finally:
        torch.set_num_threads(threads)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ppl-gen", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"ppl-gen {__version__}")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    tour = commands.add_parser(
        "tour",
        help="five claims about four models, measured on real data",
        description="Fit four models to data that scikit-learn ships, ask them questions and hold "
        "them against one another. Tells the story here, and writes an article (index.html), its "
        "figures and the posteriors (netCDF, for ArviZ) into a folder.",
    )
    tour.add_argument(
        "--out",
        metavar="DIR",
        default="ppl-gen-tour",
        help="the folder to write into, made if need be (default: %(default)s)",
    )
    tour.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="a whole number that decides every draw (default: %(default)s)",
    )
    tour.add_argument("--quick", action="store_true", help="cut every fit short: seconds instead of a minute")
    return parser


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2147483647, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
