"""``ppl-gen fit``."""

import argparse
from pathlib import Path
from typing import Any

from ppl_gen import models, ranks
from ppl_gen.cli.options import (
    FILE,
    FOLDER,
    Parser,
    add_json,
    completed,
    count,
    listed,
    seed,
    settings,
    writable,
)  # fmt: skip
from ppl_gen.cli.terminal import Terminal, plain
from ppl_gen.errors import NoEvidence

HELP = "a model of the library, fitted to a table or an array"
DESCRIPTION = """\
Fit one of the models to the rows of a file, say what was found, and save the posterior, which sample, ask
and diagnose read, and ppl_gen.load. It keeps the names of a table's columns and classes.

Under torchrun several processes share the work:
torchrun --standalone --nproc-per-node 2 -m ppl_gen fit ..."""
OPTIONS = ("steps", "batch_size", "learning_rate", "seed", "checkpoint")  # of methods


def add(parser: Parser) -> None:
    """The options."""
    from ppl_gen.fitting import METHODS

    words = "a CSV or Parquet table, or a NumPy array (.npy)"
    completed(parser.add_argument("file", metavar="FILE", help=words), FILE)
    words = "such as GaussianNaiveBayes or PPCA"
    completed(parser.add_argument("--model", metavar="NAME", required=True, help=words), models.__all__)
    words = f"{', '.join(METHODS)} (default: the model's own; vb for mixtures)"
    completed(parser.add_argument("--method", metavar="NAME", help=words), tuple(METHODS))
    parser.add_argument(
        "--class",
        dest="column",
        metavar="COLUMN",
        help="of y, the class or target, which x leaves out: its name, or in an array its number from 0",
    )
    parser.add_argument(
        "--drop", metavar="COLUMN,…", action="append", default=[], help="columns to leave out"
    )
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="NAME=VALUE,…",
        type=settings,
        action="extend",
        default=[],
        help="arguments of the model, such as components=3, likelihood=Gaussian or likelihood=Binomial(17)",
    )
    parser.add_argument("--steps", type=count, metavar="N", help="at most, of a method that takes steps")
    parser.add_argument("--batch-size", type=count, metavar="N", help="rows of a minibatch of svi")
    parser.add_argument("--learning-rate", type=float, metavar="R", help="of svi")
    parser.add_argument("--seed", type=seed, metavar="N", help="a whole number that decides every draw")
    checkpoint = parser.add_argument(
        "--checkpoint",
        metavar="DIR",
        help="of svi: a folder of this fit alone; after a crash the same command goes on from there",
    )
    completed(checkpoint, FOLDER)
    words = "the posterior (default: %(default)s)"
    completed(parser.add_argument("--out", metavar="FILE", default="ppl-gen-fit.pplgen", help=words), FILE)
    parser.add_argument("--overwrite", action="store_true", help="replace that file if it is there")
    add_json(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """Fit and save; returns what was found."""
    out = Path(options.out)
    writable(out, overwrite=options.overwrite)
    from ppl_gen.cli.words import Words
    from ppl_gen.fitting import fit_file

    posterior, says = fit_file(
        Path(options.file),
        options.model,
        out,
        method=options.method,
        column=options.column,
        drop=listed(options.drop),
        settings=dict(options.settings),
        options={name: getattr(options, name) for name in OPTIONS},
    )
    if ranks.main():
        terminal.say(*says, str(posterior), f"Written to {out}.")
    try:
        evidence = posterior.log_evidence
    except NoEvidence:
        evidence = None
    document: dict[str, Any] = plain(
        {
            "model": type(posterior.model).__name__,
            "joint": posterior.model.joint,
            "method": str(posterior.method),
            "rows": posterior.n,
            "shapes": posterior.shapes,
            "classes": Words.of(posterior).classes,
            "log_evidence": evidence,
            "elbo": float(posterior.elbo[-50:].mean())
            if len(posterior.elbo) and not posterior.point
            else None,
            "note": posterior.note,
            "read": says,
            "file": str(out),
        }
    )
    return document
