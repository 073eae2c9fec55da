"""The command line: ``ppl-gen tour``, or ``python -m ppl_gen tour``."""

import argparse
import errno
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ppl_gen import __version__, ranks
from ppl_gen.errors import DataError, Interrupted, OutOfStep, PplGenError
from ppl_gen.isolation import one_thread

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["main"]

DESCRIPTION = """\
Probabilistic models as joint distributions: generative against discriminative.

  ppl-gen tour            fit four models to real data and ask them (about a minute)
  ppl-gen tour --quick    the same with fits cut short (seconds)
  ppl-gen compare FILE.csv --target COLUMN
                          naive Bayes or logistic regression for a table of yours?
  ppl-gen fit FILE --model NAME
                          a model of the library, fitted to a table or an array
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code.

    It is 0, 2 for a user's mistake, 1 for a fit that went wrong, 130 after Ctrl-C. Several processes
    (torchrun) share a fit; of all else the first does all.
    """
    options = _parser().parse_args(argv)
    if options.command is None:
        _parser().print_help()
        return 0
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Interrupted)  # Ctrl-C ends the tour, not only the fit at hand
            if options.command == "fit":
                return _fit(options)
            if not ranks.main():
                return 0
            with ranks.alone():
                return _tour(options) if options.command == "tour" else _compare(options)
    except (KeyboardInterrupt, Interrupted) as stop:
        _, goes_on, there = str(stop).partition("; the same fit goes on from ")
        goes_on = f"; the same command goes on from {there}" if goes_on else ""
        print(f"ppl-gen: stopped by Ctrl-C{goes_on}", file=sys.stderr)
        return 130
    except PplGenError as error:
        if isinstance(error, OutOfStep) or ranks.main():
            print(f"ppl-gen: {error}", file=sys.stderr)
        else:
            time.sleep(1)  # when one process ends, torchrun ends the others: let the first speak
        return 2 if isinstance(error, ValueError) else 1  # what was asked was wrong, or it went wrong
    except OSError as error:
        print(f"ppl-gen: cannot write to {options.out}: {error.strerror or error}", file=sys.stderr)
        return 2


def _tour(options: argparse.Namespace) -> int:
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=out):  # find out before the work whether files can be made here
        pass
    from ppl_gen.tour import FULL, QUICK, Tour  # heavy imports wait until they are needed

    with one_thread():
        Tour(out, _console(), seed=options.seed, budget=QUICK if options.quick else FULL).run()
    return 0


def _compare(options: argparse.Namespace) -> int:
    out = Path(options.out)
    if out.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with tempfile.TemporaryFile(dir=out.parent):
        pass
    from ppl_gen.comparison import compare

    with one_thread():
        compare(
            Path(options.file),
            options.target,
            _console(),
            out=out,
            types=dict(options.types),
            drop=[name for names in options.drop for name in names.split(",")],
            repeats=options.repeats,
            seed=options.seed,
            quick=options.quick,
        )
    return 0


def _fit(options: argparse.Namespace) -> int:
    out = Path(options.out)
    if out.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if out.exists() and not options.overwrite:
        raise DataError(f"--out: {out} is there already; name another file, or replace it with --overwrite")
    with tempfile.TemporaryFile(dir=out.parent):
        pass
    from ppl_gen.fitting import fit_file

    fit_file(
        Path(options.file),
        options.model,
        out,
        method=options.method,
        column=options.column,
        drop=[name for names in options.drop for name in names.split(",")],
        settings=dict(options.settings),
        options={name: getattr(options, name) for name in OPTIONS},
    )
    return 0


OPTIONS = ("steps", "batch_size", "learning_rate", "seed", "checkpoint")  # of methods


def _console() -> "Console":
    from rich.console import Console

    console = Console(highlight=False, emoji=False)
    console.width = min(console.width, 88)
    return console


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
    _add_compare(commands)
    _add_fit(commands)
    return parser


def _add_compare(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    compare = commands.add_parser(
        "compare",
        help="naive Bayes or logistic regression for a table of yours",
        description="Read a table, learn one of its columns from the others by naive Bayes (generative) "
        "and by logistic regression (discriminative), and tell from unseen rows which to pick at this "
        "size, and when that would change. Missing cells: empty, NA, NaN, null, ?.",
    )
    compare.add_argument("file", metavar="FILE", help="a CSV (any separator) or Parquet file")
    compare.add_argument("--target", metavar="COLUMN", required=True, help="the column of the classes")
    compare.add_argument(
        "--out", metavar="FILE.html", default="ppl-gen-compare.html", help="the report (default: %(default)s)"
    )
    compare.add_argument(
        "--types",
        metavar="COLUMN=KIND,…",
        type=_kinds,
        action="extend",
        default=[],
        help="kinds that the cells do not show: gaussian, bernoulli, poisson or categorical",
    )
    compare.add_argument(
        "--drop", metavar="COLUMN,…", action="append", default=[], help="columns to leave out"
    )
    compare.add_argument(
        "--repeats",
        type=_repeats,
        metavar="N",
        help="splits of the learning curves (default: 20, or 10)",
    )
    compare.add_argument(
        "--seed",
        type=_seed,
        default=0,
        metavar="N",
        help="a whole number that decides every draw (default: %(default)s)",
    )
    compare.add_argument(
        "--quick", action="store_true", help="few repeats and sizes: wide intervals in seconds"
    )


def _add_fit(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    fit = commands.add_parser(
        "fit",
        help="a model of the library, fitted to a table or an array",
        description="Fit one of the models to the rows of a file, say what was found, and save the "
        "posterior for ppl_gen.load. Under torchrun several processes share the work: torchrun "
        "--standalone --nproc-per-node 2 -m ppl_gen fit ...",
    )
    fit.add_argument("file", metavar="FILE", help="a CSV or Parquet table, or a NumPy array (.npy)")
    fit.add_argument("--model", metavar="NAME", required=True, help="such as GaussianNaiveBayes or PPCA")
    fit.add_argument(
        "--method",
        metavar="NAME",
        help="exact, ml, em, vb, svi, map, laplace, nuts or cv (default: the model's own; vb for mixtures)",
    )
    fit.add_argument(
        "--class",
        dest="column",
        metavar="COLUMN",
        help="of y, the class or target, which x leaves out: its name, or in an array its number from 0",
    )
    fit.add_argument("--drop", metavar="COLUMN,…", action="append", default=[], help="columns to leave out")
    fit.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE,…",
        type=_settings,
        action="extend",
        default=[],
        help="arguments of the model, such as components=3, likelihood=Gaussian or likelihood=Binomial(17)",
    )
    fit.add_argument("--steps", type=_count, metavar="N", help="at most, of a method that takes steps")
    fit.add_argument("--batch-size", type=_count, metavar="N", help="rows of a minibatch of svi")
    fit.add_argument("--learning-rate", type=float, metavar="R", help="of svi")
    fit.add_argument("--seed", type=_seed, metavar="N", help="a whole number that decides every draw")
    fit.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="of svi: a folder of this fit alone; after a crash the same command goes on from there",
    )
    fit.add_argument(
        "--out", metavar="FILE", default="ppl-gen-fit.pplgen", help="the posterior (default: %(default)s)"
    )
    fit.add_argument("--overwrite", action="store_true", help="replace that file if it is there")


def _settings(text: str) -> list[tuple[str, int | float | str]]:
    """Pairs (name, value) from "components=3,noise=0.5"; what is no number is text."""
    found: list[tuple[str, int | float | str]] = []
    for pair in text.split(","):
        name, _, value = pair.partition("=")
        if not name.isidentifier() or not value:
            raise argparse.ArgumentTypeError(f"expected NAME=VALUE, such as components=3, got {text!r}")
        for kind in (int, float, str):
            with suppress(ValueError):
                found.append((name, kind(value)))
                break
    return found


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) < 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 up, got {text!r}")
    return int(text)


def _kinds(text: str) -> list[tuple[str, str]]:
    """Pairs (column, kind) from "a=gaussian,b=categorical"."""
    pairs = [pair.rpartition("=") for pair in text.split(",")]
    if any(not name or not kind for name, _, kind in pairs):
        raise argparse.ArgumentTypeError(f"expected COLUMN=KIND, such as age=gaussian, got {text!r}")
    return [(name, kind) for name, _, kind in pairs]


def _repeats(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"expected a whole number from 2 to 10,000, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 to 2147483647, got {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
