"""The verb `diagnose`: is this posterior to be believed? Checks with evidence, and a verdict in words."""

import html
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ppl_gen.checks import whole
from ppl_gen.diagnostics.trust.case import Case
from ppl_gen.diagnostics.trust.checks import FAULTS, MARKS, MODEL, Check, ranked, sentence
from ppl_gen.diagnostics.trust.climb_checks import climb_checks, pyro_climb
from ppl_gen.diagnostics.trust.data_checks import REPLICATES, compared, data_checks
from ppl_gen.diagnostics.trust.drawn import fitted_rows
from ppl_gen.diagnostics.trust.guide_checks import guide_checks
from ppl_gen.diagnostics.trust.joint_checks import density_checks, factor_checks, joint_checks
from ppl_gen.diagnostics.trust.modes import mode_checks
from ppl_gen.diagnostics.trust.prior_checks import prior_checks
from ppl_gen.diagnostics.trust.pyro_case import PyroCase, replicated
from ppl_gen.diagnostics.trust.pyro_selected import selected_rows
from ppl_gen.diagnostics.trust.quality import GuideQuality, guide_quality, not_fitted
from ppl_gen.errors import NoEvidence, Unanswerable
from ppl_gen.inference import NUTS, CrossValidation, PyroFit
from ppl_gen.inference.guides import in_pyro
from ppl_gen.inference.nuts import Draws
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior

if TYPE_CHECKING:
    import pandas

FEW, MANY = 1000, 4000  # draws of a guide: to begin with, and where they leave k-hat undecided
UNEVEN_SDS = ("correlations ignored", "sds too small", "sds too large", "weights undecided")


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What `diagnose` found.

    Attributes:
        posterior: what was examined.
        checks: everything looked at, in order.
        quality: of the guide; None where the posterior has no density, as of NUTS and points.
        skipped: what does not apply, in words.
        fitted: whether the rows are those of the last fit; of others the model is judged, not the fit.
    """

    posterior: Posterior | PyroFit
    checks: tuple[Check, ...]
    quality: GuideQuality | None
    skipped: tuple[str, ...] = ()
    fitted: bool = True

    @property
    def faults(self) -> tuple[str, ...]:
        """The names of the faults found, and of what asks for caution; the one to mend first stands first."""
        return tuple(check.fault for check in ranked(list(self.checks)))

    @property
    def fault(self) -> str:
        """The name of the fault to mend first, one of FAULTS; empty if there is none."""
        return (*self.faults, "")[0]

    @property
    def verdict(self) -> str:
        """In plain words: whether to use this posterior, and for what; else what to do."""
        found = ranked(list(self.checks))
        if not found:
            return self._sound()
        first, also = (
            found[0],
            sorted({c.fault for c in found[1:]} - {found[0].fault}, key=list(FAULTS).index),
        )
        more = f" Then: {', '.join(also)}." if also else ""
        what = f"{first.fault}{f' ({first.where})' if first.where else ''}"
        mend = f"Try: {sentence(first.fix)}{more}"
        if first.fault in UNEVEN_SDS and first.state == "caution":
            return f"use it for means, not for sds: {what}. {mend}"
        if first.fault == "means off":
            return f"use its weighted draws, not its own: {what}. {mend}"
        if first.fault in MODEL:
            exact = "exact " if self.quality is not None and self.quality.exact else ""
            these = "these data" if self.fitted else "these rows, which were not fitted"
            return (
                f"use it as the {exact}posterior of this model, but the model does not fit {these}: "
                f"{what}. {mend}"
            )
        if first.state == "caution":
            return f"use it with care: {what}. {mend}"
        return f"do not use it: {what}. {mend}"

    def _sound(self) -> str:
        posterior, q = self.posterior, self.quality
        if not self.fitted:
            return "the model expects these rows, which were not fitted; of the fit they say nothing"
        if q is not None and q.exact:
            return "exact: use it"
        if isinstance(posterior, Posterior) and posterior.point:
            return "use it for predictions: a point, which has no sds"
        if isinstance(posterior.guide, Draws):
            return "use it: the chains agree"
        if isinstance(posterior.method, CrossValidation):
            return "use it for predictions: chosen by cross-validation, no posterior"
        if q is None:
            return "nothing speaks against it, but it has no density that could be weighed"
        return f"use it: {q.gap:,.2f} nats between its bound and the log evidence"

    @property
    def head(self) -> str:
        """Model and method, in words."""
        of = self.posterior
        name = of.model.name if isinstance(of, PyroFit) else type(of.model).__name__
        return f"{name} by {type(of.method).__name__}"

    def table(self) -> "pandas.DataFrame":
        """The checks, one row each."""
        import pandas

        columns = ("state", "found", "value", "error", "limit", "fault", "where", "fix")
        names = ("state", "shown", "value", "error", "limit", "fault", "where", "fix")
        rows = {c: [getattr(check, n) for check in self.checks] for c, n in zip(columns, names, strict=True)}
        return pandas.DataFrame(rows, index=pandas.Index([c.name for c in self.checks], name="check"))

    def report(self, path: Any) -> Path:
        """Write one self-contained HTML page with figures; see `ppl_gen.report`."""
        from ppl_gen.diagnostics.trust.page import report

        return report(self, path)

    def __str__(self) -> str:
        width = max(len(check.name) for check in self.checks)
        lines = [f"{self.head}: {self.verdict}", ""]
        for check in self.checks:
            lines.append(f"  {MARKS[check.state]} {check.name:<{width}}  {check.shown}")
            if check.fault:
                where = f" ({check.where})" if check.where else ""
                lines.append(f"    {'':<{width}}  {check.fault}{where}: {check.meaning}")
        return "\n".join(lines + [f"  {self.unseen}"] * bool(self.skipped))

    @property
    def unseen(self) -> str:
        """One line that says what was not looked at; empty if nothing was left out."""
        said = "; ".join(words.removesuffix(".") for words in self.skipped)
        return sentence(f"Not looked at: {said}") if self.skipped else ""

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{MARKS[c.state]}</td><td>{html.escape(c.name)}</td><td>{html.escape(c.shown)}</td>"
            f"<td>{html.escape(f'{c.fault}: {c.meaning}' if c.fault else c.meaning)}</td></tr>"
            for c in self.checks
        )
        head = "<tr><th></th><th>check</th><th>found</th><th>meaning</th></tr>"
        below = f"<p>{html.escape(self.unseen)}</p>" if self.skipped else ""
        return f"<p><b>{html.escape(self.verdict)}</b></p><table>{head}{rows}</table>{below}"


def diagnose(
    posterior: Posterior | PyroFit,
    /,
    *,
    draws: int | None = None,
    seed: int = 0,
    nuts: bool | NUTS = False,
    more_steps: int | None = None,
    restarts: int | None = None,
    **data: Any,
) -> Diagnosis:
    """Is this posterior to be believed, and is the model one of these data? What applies is run.

    The joint: rows counted once, no factor beside it, densities of total one. The climb: whether more steps
    or another start gain. The guide: importance weights of its draws (see `guide_quality`), and where they
    are uneven what explains it: a prior or rows counted wrongly, a dropped Jacobian, correlations, a funnel.
    Chains: R-hat, effective sample size, divergences, labels. Modes that no draw visits, where parameters are
    few. Codes that collapsed. The rows: location, scale, shape and what follows the inputs, beside those of
    replicates; parameters beside their priors.

    Each check holds a number against its limit. Limits of random numbers lie five standard errors out, or
    five sds and beyond all of 200 replicates, so that of a right model and a fit that arrived hardly one in
    100,000 checks is a false alarm; k-hat's is that of its authors. What no check looks at may be wrong.

    Args:
        posterior: what `fit` returned; or `fit_pyro`, of whose bare programs densities, factors, the climb,
            the guide, the priors and the rows are looked at; inputs are arguments with a value for each row.
        draws: of the guide, that are weighed [1,000; and where these leave open on which side of its limit
            k-hat lies, 4,000].
        seed: decides everything random.
        nuts: compare with NUTS as well, as in `guide_quality`.
        more_steps: by which SVI is continued [300]; 0 leaves that out.
        restarts: other starts of SVI, EM or variational Bayes [of a mixture 1, by SVI 2; else 0].
        data: the rows, by name, where the posterior holds them no more. Of others than those of the last
            fit, only what the model expects of them is looked at.

    >>> from ppl_gen import fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [5.], [6.]], y=[0, 0, 1, 1])
    >>> found = diagnose(posterior, draws=100)
    >>> found.verdict, found.faults
    ('exact: use it', ())
    """
    if not isinstance(posterior, Posterior | PyroFit):
        raise not_fitted(posterior)
    for name, value in (("more_steps", more_steps), ("restarts", restarts)):
        if value is not None:
            whole(name, value, least=0)
    if isinstance(posterior, PyroFit):
        return _of_pyro(posterior, draws, seed, nuts, more_steps, restarts, data)
    skipped: list[str] = []
    try:
        quality = guide_quality(posterior, draws=draws or FEW, seed=seed, nuts=nuts, **data)
        if draws is None and quality.undecided:
            quality = guide_quality(posterior, draws=MANY, seed=seed, nuts=nuts, **data)
    except NoEvidence as error:
        quality = None
        skipped.append(f"weights: {error}")
    fitted = fitted_rows(posterior, data)
    case = Case(posterior, data, whole("seed", seed, least=0), quality, known_rows=fitted)
    parts: dict[str, Callable[[], Iterator[Check]]] = {"joint": lambda: joint_checks(case)}
    if fitted:
        parts["climb"] = lambda: climb_checks(case, more_steps, restarts)
    if fitted or quality is not None:
        parts["guide"] = lambda: guide_checks(case)
    if fitted:
        parts["modes"] = lambda: mode_checks(case)
    parts["data"] = lambda: data_checks(case)
    checks = _found(parts, skipped)
    skipped += [] if fitted else ["climb and modes: they are of the rows that were fitted"]
    return Diagnosis(posterior, checks, quality, tuple(skipped), fitted)


def _of_pyro(
    pair: PyroFit,
    draws: int | None,
    seed: int,
    nuts: bool | NUTS,
    more_steps: int | None,
    restarts: int | None,
    data: Mapping[str, Any],
) -> Diagnosis:
    """What applies to a program that declares no joint."""
    options: dict[str, Any] = {"seed": seed, "nuts": nuts, "restarts": restarts or 0, **data}
    quality = guide_quality(pair, draws=draws or FEW, **options)
    if draws is None and quality.undecided:
        quality = guide_quality(pair, draws=MANY, **options)
    case = PyroCase.of(pair, seed, quality)
    t, selected = case.runs[0], selected_rows(pair, seed)

    def rows() -> Iterator[Check]:
        found = replicated(pair, REPLICATES, seed)
        if found and all(along is None for *_, along, _ in found.values()):
            skipped.append("inputs (no argument has a number for each row)")
        for name, (fn, y, new, along, share) in found.items():
            if name not in selected:
                yield compared(name, fn, y, new, along, share if quality.trusted else 0.0)

    parts: Mapping[str, Callable[[], Iterator[Check]]] = {
        "joint": lambda: density_checks("model", t.p),
        "factors": lambda: factor_checks(case),
        "climb": lambda: pyro_climb(case, more_steps),
        "guide": lambda: guide_checks(case),
        "priors": lambda: prior_checks(case),
        "data": rows,
    }
    skipped = [
        "sizes of plates, weights by poutine.scale, codes and components",
        "modes that the guide never visits (fit again with other seeds, and compare)",
        *(f"rows of {name} beside replicates: {why}" for name, why in selected.items()),
    ]
    with isolated(seed):
        checks = tuple(replace(check, fix=in_pyro(check.fix)) for check in _found(parts, skipped))
    return Diagnosis(pair, checks, quality, tuple(skipped))


def _found(parts: Mapping[str, Callable[[], Iterator[Check]]], skipped: list[str]) -> tuple[Check, ...]:
    """The checks of all parts that apply; what does not is added to ``skipped``."""
    found: list[Check] = []
    for part, run in parts.items():
        if part == "data" and any(check.fault == "outside the support" for check in found):
            continue  # nothing can be drawn of such parameters
        try:
            found.extend(run())
        except (Unanswerable, NotImplementedError) as error:
            skipped.append(f"{part}: {error}")
    return tuple(found)
