"""The report of a diagnosis: one HTML page that holds everything in itself."""

import html
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen import plot
from ppl_gen.article import Figure, Part, Report, Section, Table
from ppl_gen.checks import called
from ppl_gen.diagnostics.choosing.moments import moments
from ppl_gen.diagnostics.trust.checks import MARKS, MODEL, ranked, sentence
from ppl_gen.diagnostics.trust.diagnose import Diagnosis, diagnose
from ppl_gen.diagnostics.trust.quality import GuideQuality
from ppl_gen.errors import DataError
from ppl_gen.inference import PyroFit
from ppl_gen.inference.evidence import pareto_smoothed
from ppl_gen.inference.nuts import Draws
from ppl_gen.plot.shared import BINS
from ppl_gen.posterior import Posterior

WIDEST = 6.6  # inches of a figure on the page
FIRST = 20  # parameters whose intervals are drawn
PAIRED = 4  # parameters two by two: more cannot be read on a phone


def report(of: Posterior | PyroFit | Diagnosis, path: Any, /) -> Path:
    """Write what `diagnose` finds as one HTML page, with figures that say in words what they show.

    The page fetches nothing, follows light and dark, and reads on a phone.

    Args:
        of: a posterior, or what `fit_pyro` returned, which is diagnosed by default settings; or a diagnosis.
        path: of the file.

    Returns:
        The path.

    Raises:
        DataError: this is neither, or ``path`` is no name of a file that can be written.
    """
    if not isinstance(of, Posterior | PyroFit | Diagnosis):
        raise DataError(f"report: expected a posterior or a diagnosis first, got {called(of)}")
    found = of if isinstance(of, Diagnosis) else diagnose(of)
    if not isinstance(path, str | PathLike):
        raise DataError(f"path: expected the name of a file, such as 'diagnosis.html', got {called(path)}")
    target = Path(path)
    try:
        target.write_text(page(found).html(), encoding="utf-8")
    except OSError as error:
        raise DataError(f"path: {target} cannot be written: {error.strerror}") from None
    return target


def page(d: Diagnosis) -> Report:
    """The article."""
    posterior = d.posterior
    verdict = d.verdict[0].upper() + d.verdict[1:]
    data = "A bare Pyro program, on the arguments of its fit."
    if isinstance(posterior, Posterior):
        data = f"`{posterior.model.joint}`, given {posterior.n:,} rows of {', '.join(posterior.shapes)}."
    q = d.quality
    glance: list[tuple[str, str]] = []
    if q is not None:
        least = "" if q.trusted or q.rows is not None else "at least "
        glance = [
            ("exact" if q.exact else f"{q.k_hat:.2f}", f"k-hat, to be at most {q.threshold:.2f}"),
            (f"{least}{q.gap:,.2f}", "nats between the bound and the log evidence"),
            (f"{q.effective:,.0f}", f"draws of the posterior that {q.draws:,} of the guide are worth"),
        ]
    sections = [_checks(d), *filter(None, (_climb(d), _weights(q), _parameters(d)))]
    notice = sentence(f"Note: {posterior.note}") if posterior.note else ""
    return Report(f"{d.head}: {_headline(d)}", f"{verdict}\n{data}", glance, sections, notice)


def _headline(d: Diagnosis) -> str:
    return d.verdict.partition(":")[0].split(". ")[0]


def _checks(d: Diagnosis) -> Section:
    states = {"ok": "fine", "note": "note", "caution": "caution", "fault": "fault"}
    rows = [(f"{MARKS[c.state]} {states[c.state]}", c.name, c.shown) for c in d.checks]
    table = Table(
        ("", "check", "found"),
        rows,
        "Limits of random numbers lie five standard errors out, so that hardly one check in 100,000 of a "
        "right model and a fit that arrived is a false alarm.",
    )
    parts: list[Part] = [table]
    for check in ranked(list(d.checks)):
        where = f" ({check.where})" if check.where else ""
        named = f"{check.fault[0].upper()}{check.fault[1:]}{where}"
        parts.append(f"{named}: {sentence(check.meaning)} What to do: {sentence(check.fix)}")
    parts += [d.unseen] * bool(d.skipped)
    bad = len(ranked(list(d.checks)))
    claim = f"{len(d.checks)} checks, {bad or 'no'} finding{'s' * (bad != 1)}"
    return Section(claim, parts)


def _climb(d: Diagnosis) -> Section | None:
    history = d.posterior.elbo
    if len(history) < 3 or not bool(torch.isfinite(history).any()):
        return None
    band = ": running mean, and nine steps in ten as a band" if len(history) > BINS else ""
    words = f"The bound of each of {len(history):,} steps{band}. It "
    words += f"ends at {float(history[-max(len(history) // 20, 1) :].mean()):,.2f} nats."
    exact = d.posterior.evidence if isinstance(d.posterior, Posterior) else None
    return Section(
        "The climb of the bound", [_figure(lambda: plot.elbo(history, log_evidence=exact).figure, words)]
    )


def _weights(q: GuideQuality | None) -> Section | None:
    if q is None:
        return None
    if q.rows is not None:
        words = (
            f"k-hat of {len(q.rows):,} rows: {q.above:.0%} lie above {q.threshold:.2f}, beyond which weights "
            f"cannot mend the guide."
        )
        drawing = _figure(lambda: plot.k_hat(q.rows, threshold=q.threshold).figure, words)
    else:
        low, high = q.k_hat_range
        words = (
            "All weights are equal: the draws come from the posterior itself."
            if q.exact
            else f"k-hat {q.k_hat:.2f}, in nine of ten resamples between {low:.2f} and {high:.2f}; up to "
            f"{q.threshold:.2f} averages of weighted draws can be trusted."
        )
        drawing = _figure(
            lambda: plot.k_hat(q.k_hat, threshold=q.threshold, interval=q.k_hat_range).figure, words
        )
    return Section("The draws weighed by the joint", [drawing])


def _parameters(d: Diagnosis) -> Section | None:
    posterior, q = d.posterior, d.quality
    if isinstance(posterior.guide, Draws):
        values = posterior.guide.values
        each = {
            f"chain {i + 1}": {n: v[i] for n, v in values.items()}
            for i in range(min(4, posterior.guide.chains))
        }
        words = "Every chain's intervals, half of its draws in the thick line and 90 % in the thin one."
        words += _shown(sum(v[0, 0].numel() for v in values.values()))
        return Section("The chains", [_figure(lambda: plot.forest(each, most=FIRST), words)])
    if q is None or not q.scored.latents:
        return None
    drawn = {n: v for n, v in q.scored.latents.items() if v.is_floating_point()}
    if not drawn:
        return None
    w = pareto_smoothed(q.scored.log_weights)[:, 0].double().softmax(0)
    both = {"guide": drawn} if q.exact else {"guide": drawn, "weighted": drawn}
    words = "Intervals: half of the draws in the thick line, 90 % in the thin one, the mean marked"
    words += "." if q.exact else "; by the guide, and by its draws weighted to the posterior"
    words += "" if q.exact else (", which k-hat says not to trust." if not q.trusted else ".")
    words += _shown(sum(v[0].numel() for v in drawn.values()))
    parts: list[Part] = [_figure(lambda: plot.forest(both, weights={"weighted": w}, most=FIRST), words)]
    if q.best[0] is not None and q.guide is not None and not q.exact:
        parts.append(_moments(q))
    if sum(v[0].numel() for v in drawn.values()) > 1:
        blamed = [check.where for check in ranked(list(d.checks)) if check.fault not in MODEL]
        names, all_of = _farthest(drawn, w, " ".join(blamed))
        words = "Parameters two by two" if all_of else (
            f"The {len(names)} parameters that weights move most{', and those found at fault' * any(blamed)}"
        )  # fmt: skip
        words += "." if q.exact else ": the guide's draws, and the same drawn again by their weights."
        parts.append(_figure(lambda: plot.pair(drawn, weights=None if q.exact else w, names=names), words))
    return Section("The parameters", parts)


def _shown(total: int) -> str:
    """That the drawing leaves parameters out, if it does."""
    return f" These are the first {FIRST} of {total:,} parameters." if total > FIRST else ""


def _farthest(drawn: Mapping[str, Tensor], w: Tensor, blamed: str = "") -> tuple[list[str], bool]:
    """Scalars ``blamed`` by name, then those whose weighted mean lies farthest from the plain one, in sds;
    and whether these are all."""
    shifts = {}
    plain, weighted = moments(drawn), moments(drawn, w)
    for name, sd in plain.sds.items():
        move = ((weighted.means[name] - plain.means[name]) / sd).abs().where(sd > 0, 0.0).flatten()
        for index, value in zip(np.ndindex(tuple(sd.shape)), move.tolist(), strict=True):
            shifts[f"{name}[{', '.join(map(str, index))}]" if index else name] = value
    order = {name: i for i, name in enumerate(shifts)}
    first = set(blamed.split())
    chosen = sorted(
        shifts,
        key=lambda name: (
            name not in first,  # "w[2]" before all of "theta given tau"
            name.partition("[")[0] not in first,
            -shifts[name] if shifts[name] == shifts[name] else 0.0,
        ),
    )[:PAIRED]
    return sorted(chosen, key=order.__getitem__), len(shifts) <= PAIRED


def _moments(q: GuideQuality) -> Table:
    best, by = q.best
    assert best is not None
    assert q.guide is not None
    rows = []
    for name, sd in q.guide.sds.items():
        cells = zip(
            *(v[name].flatten().tolist() for v in (q.guide.means, q.guide.sds, best.means, best.sds)),
            strict=True,
        )
        for i, (a, b, c, e) in enumerate(cells):
            called = name if sd.numel() == 1 else f"{name}[{i}]"
            ratio = f"{b / e:.2f}" if e > 0 else "–"
            rows.append((called, f"{a:,.4g}", f"{b:,.3g}", f"{c:,.4g}", f"{e:,.3g}", ratio))
    head = ("parameter", "mean", "sd", "mean", "sd", "ratio")
    fold = f"Means and sds of {len(rows)} parameters, by the guide and by {by}" if len(rows) > 8 else ""
    return Table(
        head,
        rows,
        f"First by the guide, then by {by}, which are trusted more; and the ratio of the two sds.",
        numbers=(1, 2, 3, 4, 5),
        fold=fold,
    )


def _figure(draw: Callable[[], Any], words: str) -> Figure:
    """A drawing in the page's own ink, its caption also for those who cannot see it."""
    import matplotlib.pyplot as plt

    with plot.style():
        drawing = draw()
        width, height = drawing.get_size_inches()
        drawing.set_size_inches(min(width, WIDEST), height)
        picture = plot.svg(drawing, alt=html.unescape(words))
    plt.close(drawing)
    return Figure(picture, words)
