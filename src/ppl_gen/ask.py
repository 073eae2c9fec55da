"""The verb `ask`: any question that a joint can answer, and how the answer was obtained."""

import html
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ppl_gen.checks import called, whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.engine import Engine, Importance
from ppl_gen.errors import DataError, NoDensity, Unanswerable
from ppl_gen.inputs import Data, admit
from ppl_gen.inputs.admitting import NAMELESS
from ppl_gen.isolation import isolated
from ppl_gen.notation import read_question
from ppl_gen.posterior import Posterior
from ppl_gen.world import World, world_of


def ask(
    of: ProbabilisticModel | Posterior, question: str, method: Importance | None = None, /, **values: Any
) -> "Answer":
    """Ask a joint a textbook question: "p(y | x)", "p(x, y)", "p(x)", "p(z | x)", "p(mu)".

    Asked of a model, its prior answers; asked of a posterior, the posterior predictive. The answer is a
    distribution that says how it was obtained. What stands right of the bar is passed by name; NaN cells
    there are not observed, and are summed out.

    Args:
        of: the model or posterior.
        question: one factor, as a textbook writes it.
        method: `Importance` (draws, seed) or `LowerBound`, for integrals without closed form. By default,
            one over one number of a row is a quadrature, exact to rounding; others are importance sampled.
        values: what is given, rows first; or one row, or one class, by itself.

    Raises:
        NotationError: the question cannot be read; says where.
        UnknownVariable, NotGenerated: the joint has no such variable, or is given it.
        DataError: a value does not fit.

    >>> from ppl_gen import ask, fit
    >>> from ppl_gen.models import GaussianNaiveBayes
    >>> posterior = fit(GaussianNaiveBayes(classes=2, features=1), x=[[0.], [1.], [5.]], y=[0, 0, 1])
    >>> answer = ask(posterior, "p(y | x)", x=[[0.5], [5.1]])
    >>> answer.mode, answer.how
    (tensor([0, 1]), 'enumerated')
    """
    if not isinstance(of, ProbabilisticModel | Posterior):
        raise DataError(f"ask: expected a ProbabilisticModel or a Posterior first, got {called(of)}")
    if not (method is None or isinstance(method, Importance)):
        raise DataError(f"method: expected Importance(…) or LowerBound(…), got {method!r}")
    asked = read_question(question)
    with isolated(0):
        return Answer(world_of(of, asked, values), question, method, values, of)


class Answer(Engine):
    """The distribution that answers a question; made by `ask`.

    ``.sample(n)``, ``.log_prob(**values)``, ``.probs`` and ``.mode`` of a finite variable, ``.mean`` of a
    numerical one. ``.how`` and ``.standard_error`` tell of the numbers that it gave last.
    """

    def __init__(
        self,
        world: World,
        question: str,
        method: Importance | None,
        values: Mapping[str, Any],
        of: ProbabilisticModel | Posterior,
    ):
        self._known = of if isinstance(of, Posterior) else NAMELESS
        self.question, self.method, self.chosen = question, method or Importance(), method is not None
        self._world = world
        self._targets, given = read_question(question)
        for name in given:
            if name not in values:
                raise DataError(f"{name}: the question {question} is given {name}; pass {name}=…")
        for name in values:
            if name in self._targets:
                raise DataError(
                    f"{name}: {question} asks about it; pass it to the answer: .log_prob({name}=…)"
                )
            if name not in given:
                raise DataError(f"{name}: does not stand right of the bar in {question}; got a value for it")
        self._values = dict(values)
        self._choose()
        self._given = self._admit({})
        self._joint = any(
            not self._world.sites[name].local for name in self._targets
        )  # all rows tell of it together
        self._has_rows = self._rowed(values)
        self._how = self._method_name(self._scored_by_draws, bound=True)
        if self._below is not None:
            self._refuse_undense(name for name in given if name in self._below.factors)
        self._error: Tensor | None = None

    # What the reader asks -------------------------------------------------------------------------------

    @property
    def how(self) -> str:
        """How the last numbers were obtained: exact, enumerated, an average, importance sampled, a bound."""
        used = self._above.factors | (self._below.factors if self._below else set())
        return ", at ".join([self._how, *(e for v, e in self._world.p.estimates.items() if v in used)])

    @property
    def standard_error(self) -> Tensor | None:
        """Monte-Carlo standard error of the last numbers, in their shape; None if they are exact."""
        return self._error

    @property
    def k_hat(self) -> Tensor | None:
        """The k-hat of every row's importance weights behind the last numbers; None if there were none."""
        return self._k_hat

    def log_prob(self, *unnamed: Any, **values: Any) -> Tensor:
        """log p(targets | given) in nats, one number for each row.

        Args:
            values: a value for every variable left of the bar.

        Raises:
            NoDensity: the model only draws this variable.
        """
        if unnamed:
            raise DataError(f"values are passed by name: .log_prob({self._targets[0]}=…)")
        if set(values) != set(self._targets):
            raise DataError(
                f"{self.question}: expected a value for each of {', '.join(self._targets)}, "
                f"got {', '.join(values) or 'none'}"
            )
        with isolated(self.method.seed):
            self._refuse_undense(self._targets)
            both = self._admit(values)
            above = self._parameters(self._above, both.observed)
            below = self._parameters(self._below, self._given.observed)
            parts = [self._log_prob(part, above, below) for part in self._parts(both, self.method.draws)]
        value, error, k = (torch.cat(column) for column in zip(*parts, strict=True))
        self._finish(error, k, exact=not self._scored_by_draws, bound=True)
        if not self._joint and (self._has_rows or self._rowed(values)):
            return value
        self._error = None if self._error is None else self._error[0]
        return value[0]

    @cached_property
    def probs(self) -> Tensor:
        """The probability of every value of a finite target: shape (n, levels), or (levels,) for one row."""
        name = self._finite_target()
        self._refuse_undense([name])
        with isolated(self.method.seed):
            draws = None if self._joint else self._parameters(self._above, self._given.observed)
            parts = [self._probs(part, name, draws) for part in self._parts(self._given, self.method.draws)]
        value, error, k = (torch.cat(column) for column in zip(*parts, strict=True))
        if bool(torch.isnan(value.sum())):  # probabilities: their sum cannot overflow
            row = torch.nonzero(torch.isnan(value).any(1))[0].item()
            raise DataError(
                f"{', '.join(self._values)}: row {row} has probability zero, or is too far away, "
                f"under every {name}"
            )
        self._finish(error, k, exact=self._above.exact)
        if self._has_rows and not self._joint:
            return value
        self._error = None if self._error is None else self._error[0]
        return value[0]

    @cached_property
    def log_joint(self) -> Tensor:
        """log p(target, given) in nats for every value of a finite target of the rows, shaped as `probs`.

        What Bayes' rule divides by its sum over the values: ``log_joint.softmax(-1)`` is `probs`, and
        ``log_joint.log_softmax(-1)`` keeps the digits of probabilities too small to write down.
        """
        name = self._finite_target()
        if self._joint or not self._world.sites[name].local:
            raise Unanswerable(f"{self.question}: expected a target of the rows; for {name!r} ask .log_prob")
        self._refuse_undense([name])
        with isolated(self.method.seed):
            draws = self._parameters(self._above, self._given.observed)
            parts = [
                self._log_joint(part, name, draws) for part in self._parts(self._given, self.method.draws)
            ]
        found = torch.cat(parts)
        return found if self._has_rows else found[0]

    @property
    def mode(self) -> Tensor:
        """The most probable value of a finite target, for each row: its code; ``.labels`` has its name."""
        return self.probs.argmax(-1)

    @property
    def classes(self) -> tuple[str, ...]:
        """What the values of a finite target, and so the columns of ``.probs``, stand for; () for codes."""
        return tuple(self._known.classes.get(self._finite_target(), ()))

    @property
    def labels(self) -> Any:
        """The most probable value of a finite target for each row, by the name that it came with.

        A NumPy array of texts (None for a code that no name came with), or one text for one row.
        """
        name = self._finite_target()
        if not self.classes:
            raise Unanswerable(f"{name!r} was fitted to class codes, which have no names: use .mode")
        names = np.array([*self.classes, *[None] * self._world.sites[name].levels], dtype=object)
        return names[self.mode.numpy()]

    @cached_property
    def mean(self) -> Tensor:
        """The expectation of a numerical target, for each row."""
        (name,) = self._single_target()
        site = self._world.sites[name]
        if site.levels:
            raise Unanswerable(f"{name!r} is a class code, and codes have no mean: ask for .probs or .mode")
        with isolated(self.method.seed):
            value, error = self._mean(name)
        self._error = error
        if site.local and not self._has_rows:
            self._error = None if error is None else error[0]
            return value[0]
        return value

    def sample(self, n: int | None = None, *, seed: int | None = None) -> Any:
        """Independent draws of the targets.

        Args:
            n: how many; the result has them as its first dimension. None gives one, without it.
            seed: None draws anew at every call.

        Returns:
            A tensor of shape (n, rows, *event) (no rows dimension if one row, or none, was given), or a
            dict of tensors if several variables stand left of the bar.
        """
        count = 1 if n is None else whole("n", n)
        with isolated(seed):
            drawn = self._sample(count, seed)
        for name, value in drawn.items():
            if self._world.sites[name].local and not self._has_rows:
                drawn[name] = value[:, 0]
            if n is None:
                drawn[name] = drawn[name][0]
        return drawn if len(self._targets) > 1 else drawn[self._targets[0]]

    def __repr__(self) -> str:
        rows = f" for {self._given.n:,} rows" if self._has_rows else ""
        return f"{self.question} of {type(self._world.p).__name__}{rows}, {self.how}"

    def _repr_html_(self) -> str:
        name = self._targets[0]
        finite = len(self._targets) == 1 and bool(self._world.sites[name].levels)
        verbs = [".probs", ".mode"] if finite else [".mean"]
        verbs += [".sample(n)", f".log_prob({', '.join(f'{name}=…' for name in self._targets)})"]
        return f"{html.escape(repr(self))}<br><small>{html.escape('  '.join(verbs))}</small>"

    # Reading the question -------------------------------------------------------------------------------

    def _admit(self, values: Mapping[str, Any]) -> Data:
        """What is given and the targets' ``values`` side by side; one row goes with all of the others."""
        world = self._world
        data = admit(
            world.p,
            {**self._values, **values},
            missing=True,
            found=world.sites,
            example=world.example,
            like=self._known,
        )
        for name in () if world.gaps else data.seen:
            if any(name in parents for parents in world.line.values()):
                raise DataError(
                    f"{name}: other variables depend on it, so its missing cells (NaN) cannot be summed out"
                )
        if not data.n and data.rows:
            raise DataError(f"{next(iter(data.rows))}: expected at least one row, got none")
        return data if data.n else replace(data, n=1)

    def _rowed(self, values: Mapping[str, Any]) -> bool:
        """Whether any value came with a dimension for rows."""
        for name, value in values.items():
            site = self._world.sites.get(name)
            own = self._world.example[name].dim() - 1 if site is None else site.event_dim
            if (site is None or site.local) and _dims(value) > own:
                return True
        return False

    def _single_target(self) -> tuple[str]:
        if len(self._targets) > 1:
            raise Unanswerable(
                f"{self.question} asks about several variables; ask about one, or use .log_prob"
            )
        return (self._targets[0],)

    def _finite_target(self) -> str:
        (name,) = self._single_target()
        if not self._world.sites[name].levels:
            raise Unanswerable(
                f"{name!r} has no finite list of values: use .log_prob({name}=…), .sample(n) or .mean"
            )
        return name

    def _refuse_undense(self, names: Any) -> None:
        world = self._world
        for name in names:
            if world.sites[name].drawn_only:
                who = (
                    f"the guide of {type(world.p).__name__}"
                    if world.who == "guide"
                    else type(world.p).__name__
                )
                raise NoDensity(
                    f"{who} is {world.line.line}: it draws {name!r}, but gives it no density. "
                    f"It can answer p({name}) by .sample(n)."
                )


def _dims(value: Any) -> int:
    return value.dim() if isinstance(value, Tensor) else len(getattr(value, "shape", None) or np.shape(value))
