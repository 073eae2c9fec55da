"""``ppl-gen compare``."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppl_gen.cli.options import FILE, Parser, add_json, add_seed, completed, kinds, listed, repeats, writable
from ppl_gen.cli.terminal import Terminal, plain

if TYPE_CHECKING:
    from ppl_gen.comparison.findings import Findings

HELP = "naive Bayes or logistic regression for a table of yours?"
DESCRIPTION = """\
Read a table, learn one of its columns from the others by naive Bayes (generative) and by logistic
regression (discriminative), and tell from unseen rows which to pick at this size, and when that would
change. Missing cells: empty, NA, NaN, null, ?."""


def add(parser: Parser) -> None:
    """The options."""
    file = parser.add_argument("file", metavar="FILE", help="a CSV (any separator) or Parquet file")
    completed(file, FILE)
    parser.add_argument("--target", metavar="COLUMN", required=True, help="the column of the classes")
    out = parser.add_argument(
        "--out", metavar="FILE.html", default="ppl-gen-compare.html", help="the report (default: %(default)s)"
    )
    completed(out, FILE)
    parser.add_argument(
        "--types",
        metavar="COLUMN=KIND,…",
        type=kinds,
        action="extend",
        default=[],
        help="kinds that the cells do not show: gaussian, bernoulli, poisson or categorical",
    )
    parser.add_argument(
        "--drop", metavar="COLUMN,…", action="append", default=[], help="columns to leave out"
    )
    parser.add_argument(
        "--repeats", type=repeats, metavar="N", help="splits of the learning curves (default: 20, or 10)"
    )
    add_seed(parser)
    words = "few repeats and sizes: wide intervals in seconds"
    parser.add_argument("--quick", action="store_true", help=words)
    add_json(parser)


def run(options: argparse.Namespace, terminal: Terminal) -> dict[str, Any]:
    """Compare and write the report; returns the verdict and the scores."""
    out = Path(options.out)
    writable(out)
    from ppl_gen.comparison import compare
    from ppl_gen.isolation import one_thread

    with one_thread():
        findings = compare(
            Path(options.file),
            options.target,
            terminal.console,
            out=out,
            types=dict(options.types),
            drop=listed(options.drop),
            repeats=options.repeats,
            seed=options.seed,
            quick=options.quick,
        )
    return _document(findings, out)


def _document(f: "Findings", out: Path) -> dict[str, Any]:
    measured, verdict = f.measured, f.verdict
    scores = {
        score: {
            **{side: vars(estimate) for side, estimate in sides.items()},
            "difference": vars(measured.difference[score]),
        }
        for score, sides in measured.each.items()
    }
    document: dict[str, Any] = plain(
        {
            "pick": verdict.pick,
            "headline": verdict.headline,
            "evidence": verdict.evidence,
            "change": verdict.change,
            "rows": len(f.study.data),
            "classes": f.study.data.classes,
            "learned from": measured.held.training,
            "scores": scores,
            "warnings": f.study.warnings,
            "report": str(out),
        }
    )
    return document
