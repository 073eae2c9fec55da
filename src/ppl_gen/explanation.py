"""Why this row got this class: what each feature says for it, in log odds."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import torch
from torch import Tensor

from ppl_gen.arrays import as_tensor
from ppl_gen.ask import ask
from ppl_gen.core import ProbabilisticModel, dtype_of
from ppl_gen.errors import DataError
from ppl_gen.posterior import Posterior

PRIOR, TOGETHER = "(prior)", "(together)"


@dataclass(frozen=True, eq=False)
class Explanation:
    """The log odds of one class against another, feature by feature; made by `explain`.

    Attributes:
        features: the names, from the strongest to the weakest. "(prior)" is the log odds before x was seen;
            "(together)", where it stands, what features say only together (0 in a naive Bayes whose
            parameters are independent).
        values: of the row, NaN where missing or none.
        log_odds: (features,), nats; positive speaks for ``chosen``. Their sum is ``total``.
        chosen, rival: names of the two classes.
        probs: (classes,), p(y | x).
    """

    features: tuple[str, ...]
    values: Tensor
    log_odds: Tensor
    chosen: str
    rival: str
    probs: Tensor

    @property
    def total(self) -> float:
        """The log odds of ``chosen`` against ``rival``, given the whole row."""
        return float(self.log_odds.sum())

    def _rows(self) -> list[tuple[str, str, str]]:
        cells = zip(self.features, self.values.tolist(), self.log_odds.tolist(), strict=True)
        shown = [
            (name, "" if value != value else f"{value:.4g}", f"{odds:+.2f}") for name, value, odds in cells
        ]
        return [*shown, ("total", "", f"{self.total:+.2f}")]

    def __repr__(self) -> str:
        rows = [("feature", "value", "log odds"), *self._rows()]
        wide = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [f"{a:<{wide[0]}}  {b:>{wide[1]}}  {c:>{wide[2]}}".rstrip() for a, b, c in rows]
        return "\n".join([f"{self.chosen} rather than {self.rival}", *lines])

    def _repr_html_(self) -> str:
        cells = "".join(f"<tr><th>{escape(a)}</th><td>{b}</td><td>{c}</td></tr>" for a, b, c in self._rows())
        caption = f"<caption>{escape(self.chosen)} rather than {escape(self.rival)}</caption>"
        head = "<thead><tr><th>feature</th><th>value</th><th>log odds</th></tr></thead>"
        return f"<table>{caption}{head}<tbody>{cells}</tbody></table>"


def explain(
    of: ProbabilisticModel | Posterior,
    /,
    x: Any,
    *,
    features: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    against: int | None = None,
    **given: Any,
) -> Explanation:
    """Why the row ``x`` gets its class: each feature's log odds, log p(x_j | class) - log p(x_j | rival).

    Each is the answer to "p(x | y)" with every other cell missing, so a missing cell says nothing.

    Args:
        of: a posterior, or a model with its parameters given by name.
        x: one row (features,).
        features, classes: names; the defaults are x[0], … and y=0, ….
        against: the rival's code; by default the second most probable class.

    Raises:
        DataError: more than one row, or names that do not fit it.
        Unanswerable: the joint does not generate x given y.

    >>> from ppl_gen.models import BernoulliNaiveBayes
    >>> nb = BernoulliNaiveBayes(classes=2, features=2)
    >>> explain(nb, [1, 0], features=["fever", "cough"], pi=[0.5, 0.5], theta=[[0.1, 0.5], [0.8, 0.4]])
    y=1 rather than y=0
    feature  value  log odds
    fever        1     +2.08
    cough        0     +0.18
    (prior)            +0.00
    total              +2.26
    """
    model = of.model if isinstance(of, Posterior) else of
    if not isinstance(model, ProbabilisticModel):
        raise DataError(f"of: expected a model or a posterior, got {type(of).__name__}")
    row = as_tensor("x", x, dtype_of(model)).to(dtype_of(model))
    if row.dim() == 2 and len(row) == 1:
        row = row[0]
    if row.dim() != 1:
        raise DataError(f"x: expected one row, got shape {tuple(row.shape)}")
    bar = "".join(f", {name}" for name in given)
    probs = ask(of, f"p(y | x{bar})", x=row, **given).probs
    names = list(features) if features is not None else [f"x[{j}]" for j in range(len(row))]
    labels = [str(c) for c in classes] if classes is not None else [f"y={c}" for c in range(len(probs))]
    if len(names) != len(row) or len(labels) != len(probs):
        raise DataError(
            f"names: expected {len(row)} features and {len(probs)} classes, got {len(names)}, {len(labels)}"
        )
    chosen = int(probs.argmax())
    others = probs.clone()
    others[chosen] = -1.0
    rival = int(others.argmax()) if against is None else against
    if rival not in range(len(probs)) or rival == chosen:
        raise DataError(
            f"against: expected another class than {chosen}, from 0 to {len(probs) - 1}, got {against}"
        )
    alone = torch.where(torch.eye(len(row), dtype=torch.bool), row, torch.nan)
    cells, prior = torch.cat([alone, row[None]]), "p(y)" if not given else f"p(y | {bar[2:]})"
    says = [ask(of, f"p(x | y{bar})", y=y, **given).log_prob(x=cells) for y in (chosen, rival)]
    before = [ask(of, prior, **given).log_prob(y=y) for y in (chosen, rival)]
    odds = says[0] - says[1]
    each, together = odds[:-1], odds[-1] - odds[:-1].sum()
    order = each.abs().argsort(descending=True, stable=True)
    extra = [before[0] - before[1]] + ([together] if together.abs() > 1e-9 * (1 + each.abs().sum()) else [])
    return Explanation(
        features=(*(str(names[j]) for j in order), *(PRIOR, TOGETHER)[: len(extra)]),
        values=torch.cat([row[order], torch.full((len(extra),), torch.nan, dtype=row.dtype)]),
        log_odds=torch.cat([each[order], torch.stack(extra).to(each)]),
        chosen=labels[chosen],
        rival=labels[rival],
        probs=probs,
    )
