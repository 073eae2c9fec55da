"""From a model to a learner: a function of training rows that returns a function of test rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ppl_gen.ask import ask
from ppl_gen.checks import called
from ppl_gen.core import ProbabilisticModel
from ppl_gen.data import Dataset
from ppl_gen.engine import Importance
from ppl_gen.errors import DataError
from ppl_gen.fit import fit
from ppl_gen.inference import MAP, Exact
from ppl_gen.notation import Factorization

Predict = Callable[[Dataset], Any]  # test rows -> log probabilities (n, classes)
LEAST = torch.finfo(torch.float64).tiny  # probabilities below count as this one: -708 nats


@dataclass
class Learner:
    """Fits a model to training rows and answers p(y | x), by its name in the laboratory.

    Args:
        model, method: as for `fit`.
        draws: of the posterior, where p(y | x) is an average.
        pi: class probabilities that the question is given.
        hidden: whether rows without labels are used as well.
    """

    model: ProbabilisticModel
    method: Any
    draws: int
    pi: Tensor | None = None
    hidden: bool = False
    how: str = field(default="", init=False)

    @property
    def generative(self) -> bool:
        """Whether it generates x, and so needs no other place for what is missing in it."""
        return "x" not in Factorization(self.model.joint).given

    def __call__(self, train: Dataset, rest: Tensor, seed: int) -> Predict:
        """Learn from ``train``, and perhaps from the rows of x in ``rest``."""
        method = _quiet(self.method, seed)
        centre = train.x.nanmean(0).nan_to_num()
        posterior = fit(self.model, method, x=self._filled(train.x, centre), y=train.y)
        if self.hidden and len(rest):
            posterior = fit(posterior.model, MAP(), x=rest)
        given = {} if self.pi is None else {"pi": self.pi}
        question = "p(y | x, pi)" if given else "p(y | x)"

        def predict(test: Dataset) -> Tensor:
            draws = Importance(self.draws, seed)
            answer = ask(posterior, question, draws, x=self._filled(test.x, centre), **given)
            probs = answer.probs
            self.how = answer.how
            return probs.clamp(min=LEAST).log()

        return predict

    def _filled(self, x: Tensor, centre: Tensor) -> Tensor:
        """A model that is given x has no way to sum over it: the means of the training rows stand in."""
        return x if self.generative else torch.where(x.isnan(), centre, x)


def learners(models: Mapping[str, Any], data: Dataset, draws: int, of: str) -> dict[str, Any]:
    """A learner for each model of ``data``, which ``of`` describes; a user's callable is taken as it is."""
    if not isinstance(models, Mapping) or not models:
        raise DataError(f"models: expected a mapping of names to models, got {called(models)}")
    return {
        str(name): _learner(f"models[{name!r}]", value, data, draws, of) for name, value in models.items()
    }


def _learner(name: str, value: Any, data: Dataset, draws: int, of: str) -> Any:
    model, method = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
    if isinstance(model, ProbabilisticModel):
        line = Factorization(model.joint)
        if "y" not in line or "x" not in {*line, *line.given}:
            raise DataError(f"{name}: expected a joint of y and x, got {model.joint}")
        for what, size in (("classes", len(data.classes)), ("features", len(data.features))):
            if getattr(model, what, size) != size:
                raise DataError(f"{name}: expected {size} {what}, as {of}, got {getattr(model, what)}")
        default = Exact() if hasattr(model, "updated") else MAP()
        return Learner(model, default if method is None else method, draws)
    if method is None and callable(model) and not isinstance(model, type):
        return lambda train, rest, seed: model(train)
    raise DataError(
        f"{name}: expected a model, (model, method), or a function of the training rows that returns a "
        f"function of the test rows, got {called(value)}"
    )


def _quiet(method: Any, seed: int) -> Any:
    """The same method without a bar of its own, and with the repeat's seed."""
    fields = method.__dataclass_fields__ if is_dataclass(method) and not isinstance(method, type) else {}
    options = {"seed": seed, "progress": False}
    return replace(method, **{k: v for k, v in options.items() if k in fields}) if fields else method


def log_probs(name: str, found: Any, test: Dataset) -> Tensor:
    """What a learner predicted, checked: (n, classes) log probabilities."""
    values = torch.as_tensor(found, dtype=torch.float64)
    shape = (len(test), len(test.classes))
    if tuple(values.shape) != shape:
        raise DataError(f"models[{name!r}]: expected log probabilities {shape}, got {tuple(values.shape)}")
    total = values.logsumexp(1)
    if not bool((total.abs() < 1e-3).all()):
        raise DataError(
            f"models[{name!r}]: expected log probabilities, got rows whose exponentials add up to "
            f"{total.exp()[~(total.abs() < 1e-3)][0].item():.3g}"
        )
    return values.clamp(min=torch.tensor(LEAST, dtype=torch.float64).log())
