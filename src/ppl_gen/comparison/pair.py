"""The two sides: naive Bayes on the columns as they are, logistic regression on an encoded design."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ppl_gen.ask import ask
from ppl_gen.data import Dataset
from ppl_gen.distributions import Categorical
from ppl_gen.distributions.starts import centre_and_spread
from ppl_gen.fit import fit
from ppl_gen.inference import MAP
from ppl_gen.models import LogisticRegression, MixedNaiveBayes
from ppl_gen.posterior import Posterior
from ppl_gen.tables import Encoder

NB, LR = "naive Bayes", "logistic regression"
MANY, WIDE = 500, 200  # training rows and weights from which on Newton's matrices cost more than L-BFGS
AT_ONCE = 4_000_000  # cells held at a time


@dataclass(frozen=True, eq=False)
class Learned:
    """A fitted side: rows in, log p(y | x) out.

    Attributes:
        posterior: of the model, which has its own units.
        units: what turns the table's rows into x of the model.
    """

    posterior: Posterior
    units: Callable[[Tensor], Tensor]
    classes: int

    def __call__(self, test: Dataset) -> Tensor:
        """log p(y | x) of every class, (rows, classes), in nats."""
        return self.log_probs(test.x)

    def log_probs(self, x: Tensor) -> Tensor:
        """log p(y | x) of every class, (rows, classes), in nats."""
        answer = ask(self.posterior, "p(y | x)", x=self.units(x))
        return torch.stack([answer.log_prob(y=torch.full((len(x),), k)) for k in range(self.classes)], 1)


class NaiveBayes(Learned):
    """Naive Bayes, which can also say what each cell speaks for."""

    def log_probs(self, x: Tensor) -> Tensor:
        """log p(y | x) by Bayes' rule: p(x, y) of every class, normalised."""
        joint, x = ask(self.posterior, "p(x, y)"), self.units(x)
        scores = [joint.log_prob(x=x, y=torch.full((len(x),), k)) for k in range(self.classes)]
        return torch.stack(scores, 1).log_softmax(1)

    def cells(self, x: Tensor) -> Tensor:
        """log p(x_j | y) of every cell, (rows, features, classes): the others are missing, so summed out."""
        features = x.shape[1]
        given = [ask(self.posterior, "p(x | y)", y=k) for k in range(self.classes)]
        scores = []
        for part in self.units(x).split(max(1, AT_ONCE // features**2)):
            alone = torch.where(torch.eye(features, dtype=torch.bool), part[:, None], torch.nan)
            said = [answer.log_prob(x=alone.reshape(-1, features)) for answer in given]
            scores.append(torch.stack(said, 1).reshape(len(part), features, self.classes))
        return torch.cat(scores)

    def log_prior(self) -> Tensor:
        """log p(y), (classes,)."""
        return ask(self.posterior, "p(y)").probs.log()


@dataclass(frozen=True, eq=False)
class Encoded(Learned):
    """Logistic regression, which can also say what it would if its indicators of gaps showed none."""

    units: "Design"

    def ignoring_gaps(self, x: Tensor) -> Tensor:
        """log p(y | x), (rows, classes), as if missing numbers had been seen at their means."""
        return Learned(self.posterior, self.units.gapless, self.classes).log_probs(x)


@dataclass(frozen=True)
class Pair:
    """Learners of both sides for the columns of one table: ``learner(train)`` is a `Learned`.

    Gaussian columns are counted from the training rows' means in their standard deviations. For logistic
    regression, moreover, categories become one indicator for each level, missing numbers the training
    mean, and an indicator tells which were missing.
    """

    encoder: Encoder

    def naive_bayes(self, train: Dataset) -> NaiveBayes:
        """`MixedNaiveBayes` with its exact posterior; missing cells are summed out."""
        numeric = torch.tensor([family == "gaussian" for family in self.encoder.columns.values()])
        mean, sd = centre_and_spread(train.x)
        centre, spread = torch.where(numeric, mean, 0.0), torch.where(numeric, sd, 1.0)
        classes = len(train.classes)
        model = MixedNaiveBayes(classes, self.encoder.columns)
        posterior = fit(model, x=(train.x - centre) / spread, y=train.y)
        return NaiveBayes(posterior, lambda x: (x - centre) / spread, classes)

    def logistic_regression(self, train: Dataset) -> Encoded:
        """`LogisticRegression` of the encoded rows, at the mode of its posterior."""
        design, classes = Design.of(self.encoder, train.x), len(train.classes)
        x = design(train.x)
        method = MAP(newton=0) if len(train) > MANY or classes * x.shape[1] > WIDE else MAP()
        posterior = fit(LogisticRegression(classes, x.shape[1]), method, x=x, y=train.y)
        return Encoded(posterior, design, classes)

    @property
    def learners(self) -> dict[str, Callable[[Dataset], Learned]]:
        """Name -> learner."""
        return {NB: self.naive_bayes, LR: self.logistic_regression}


@dataclass(frozen=True, eq=False)
class Design:
    """Rows of a table as numbers without gaps; every statistic is of the training rows.

    Attributes:
        levels: of each column, 0 where it is no category.
        mean, sd: (columns,) of the training rows.
        gaps: (columns,), whether any training row lacks the cell.
    """

    levels: tuple[int, ...]
    mean: Tensor
    sd: Tensor
    gaps: Tensor

    @classmethod
    def of(cls, encoder: Encoder, x: Tensor) -> "Design":
        """The design of the training rows ``x`` (n, columns)."""
        families = encoder.columns.values()
        levels = tuple(f.levels if isinstance(f, Categorical) else 0 for f in families)
        return cls(levels, *centre_and_spread(x), torch.isnan(x).any(0))

    def __call__(self, x: Tensor) -> Tensor:
        """Numbers in standard deviations, indicators of levels, indicators of gaps: (n, …)."""
        seen = ~torch.isnan(x)
        numeric = torch.tensor([not n for n in self.levels])
        parts = [torch.where(seen, (x - self.mean) / self.sd, 0.0)[:, numeric]]
        for j, n in enumerate(self.levels):
            if n:
                codes = torch.where(seen[:, j], x[:, j], n).long()  # a missing cell is in no level
                parts.append(torch.nn.functional.one_hot(codes, n + 1)[:, :n].to(x))
        return torch.cat([*parts, (~seen[:, self.gaps]).to(x)], 1)

    def gapless(self, x: Tensor) -> Tensor:
        """The same rows, with indicators that say that nothing is missing."""
        design = self(x)
        design[:, design.shape[1] - int(self.gaps.sum()) :] = 0.0
        return design

    def names(self, encoder: Encoder) -> list[str]:
        """What the columns of the design are."""
        features = list(encoder.columns)
        numbers = [name for name, n in zip(features, self.levels, strict=True) if not n]
        levels = [
            f"{name} = {encoder.categories[name][k]}"
            for name, n in zip(features, self.levels, strict=True)
            for k in range(n)
        ]
        gaps = [f"{name} missing" for name, gap in zip(features, self.gaps.tolist(), strict=True) if gap]
        return numbers + levels + gaps
