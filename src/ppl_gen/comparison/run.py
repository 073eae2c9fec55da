"""The comparison from the file to the report."""

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from ppl_gen.article import Table, print_table
from ppl_gen.comparison.findings import Findings
from ppl_gen.comparison.measures import hold_out
from ppl_gen.comparison.page import baseline_table, columns_table, decisions, report, score_table
from ppl_gen.comparison.pair import Pair
from ppl_gen.comparison.reading import read_table
from ppl_gen.comparison.reasons import correlations, disagreement, evidence, example, rests_on_gaps
from ppl_gen.comparison.study import Study, prepare
from ppl_gen.comparison.verdict import Measured, Verdict
from ppl_gen.data import Dataset
from ppl_gen.files import replace_file
from ppl_gen.laboratory import LearningCurves, learning_curves

if TYPE_CHECKING:
    from rich.console import Console

MOST_LEARNED, MOST_SCORED = 10_000, 3_000  # rows of the learning curves
SMALL = 5_000  # rows up to which repeats and cross-validation are cheap
CELLS = 2e7  # that the evidence may look at


def compare(
    path: Path,
    target: str,
    console: "Console",
    *,
    out: Path,
    types: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    repeats: int | None = None,
    seed: int = 0,
    quick: bool = False,
) -> Findings:
    """Compare naive Bayes and logistic regression on the table in ``path``, and write the report to ``out``.

    Args:
        target: the column of the classes.
        console: where the table's reading, the verdict and the scores are written.
        types, drop: as for `prepare`.
        repeats: of the learning curves; by default 20, or 10 of many rows.
        seed: decides everything.
        quick: few sizes and repeats.

    Raises:
        DataError: the file, an option, or the table does not fit; the message says what to do.
    """
    started = perf_counter()
    frame, notes = read_table(path)
    study = prepare(frame, target, types=types, drop=drop, name=path.name, notes=notes)
    _say_table(study, console)
    data, pair = study.data, Pair(study.encoder)
    repeats = repeats or (5 if quick else 20 if len(data) <= SMALL else 10)
    curves = _curves(pair, data, repeats, seed, quick)
    held = hold_out(pair.learners, data, folds=5 if quick else 10, whole=SMALL, seed=seed)
    measured = Measured.of(held, seed)
    apart = disagreement(held)
    some, rest = _kept_apart(data, [int(held.rows[place]) for place in apart.strongest], seed)
    sides = pair.naive_bayes(rest), pair.logistic_regression(rest[:1000])
    gains = evidence(sides[0], some)
    told = [name for name, _ in gains[:30]]
    seconds = perf_counter() - started
    findings = Findings(
        study, Verdict.of(measured, curves, target), measured, curves, sides, gains,
        [pair for pair in correlations(study.encoder, _sample(data, 20_000, seed)) if {*pair[:2]} <= {*told}],
        apart, example(sides[0], held, data, apart.strongest),
        rests_on_gaps(
            lambda train: pair.logistic_regression(_sample(train, SMALL, seed)), held, data, apart.strongest
        ),
        _how(path, target, seed, repeats, seconds), quick,
    )  # fmt: skip
    replace_file(out, report(findings).html())
    _say_verdict(findings, console, out, perf_counter() - started)
    return findings


def sizes_of(rows: int, classes: int, quick: bool = False) -> tuple[tuple[int, ...], int]:
    """Training sizes of the learning curves, each about as many times the one before, and rows held out.

    >>> sizes_of(344, 3)
    ((10, 19, 36, 67, 128, 241), 103)
    >>> sizes_of(200_000, 2)[0][-1]
    10000
    """
    held_out = min(max(round(0.3 * rows), 1), MOST_SCORED)
    first, last, count = max(10, 2 * classes), min(rows - held_out, MOST_LEARNED), 3 if quick else 6
    first = min(first, last)
    return tuple(sorted({round(first * (last / first) ** (i / (count - 1))) for i in range(count)})), held_out


def _curves(pair: Pair, data: Dataset, repeats: int, seed: int, quick: bool) -> LearningCurves:
    sizes, held_out = sizes_of(len(data), len(data.classes), quick)
    return learning_curves(  # each side has its own units
        pair.learners, data, sizes, repeats, seed, test=held_out, standardize=False
    )  # fmt: skip


def _sample(data: Dataset, most: int, seed: int) -> Dataset:
    return data[torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))[:most]]


def _kept_apart(data: Dataset, rows: Sequence[int], seed: int) -> tuple[Dataset, Dataset]:
    """Some random rows, and all others but for ``rows``."""
    most = int(min(2000, max(100, CELLS / len(data.features) ** 2), len(data) // 4))
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed))
    rest = torch.ones(len(data), dtype=torch.bool)
    rest[order[:most]] = False
    rest[list(rows)] = False
    return data[order[:most]], data[rest]


def _how(path: Path, target: str, seed: int, repeats: int, seconds: float) -> str:
    from importlib.metadata import version

    from ppl_gen import __version__

    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "pyro-ppl", "numpy", "pandas"))
    return (
        f"Measured in {seconds:,.0f} seconds by `ppl-gen compare {path.name} --target {target} --seed {seed} "
        f"--repeats {repeats}`, ppl-gen {__version__} on Python {platform.python_version()} ({packages}). "
        "The same "
        "seed and versions on the same machine give the same numbers, but for seconds."
    )


def _say_table(study: Study, console: "Console") -> None:
    data = study.data
    head = f"{data.name}: {len(data):,} rows, {study.target} is one of {', '.join(data.classes)}"
    console.print(head, style="bold", markup=False)
    for warning in study.warnings:
        console.print(f"Warning: {warning}.", style="bold red", markup=False)
    print_table(console, columns_table(study))
    for line in decisions(study):
        console.print(line, style="dim", markup=False)


def _say_verdict(f: Findings, console: "Console", out: Path, seconds: float) -> None:
    console.print()
    console.print(f.verdict.headline, style="bold")
    console.print(f.verdict.evidence)
    console.print(f.verdict.change)
    console.print()
    table = score_table(f.measured)
    head, *rows = ((row[0], *row[2:]) for row in (table.head, *table.rows))  # who is ahead was said above
    print_table(console, Table(head, rows, "", (1, 2, 3)))
    baseline = baseline_table(f.measured)
    print_table(console, Table(baseline.head, baseline.rows, "", baseline.numbers))
    console.print(f"Read {out}. {seconds:,.1f} seconds.", soft_wrap=True, markup=False)
