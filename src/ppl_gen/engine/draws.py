"""Draws and means of a question's targets."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ppl_gen.core import bare, mean_of
from ppl_gen.engine.scores import Scores
from ppl_gen.errors import Unanswerable
from ppl_gen.inference.evidence import log_mean_exp_error, pareto_k
from ppl_gen.inputs import Data


class Engine(Scores):
    """Scores and draws a question's targets in its world. `Answer` is its public face."""

    def _sample(self, n: int, seed: int | None) -> dict[str, Tensor]:
        if self._below is None:
            return self._forward(n, seed)
        if len(self._targets) == 1 and self._world.sites[self._targets[0]].levels:
            probs = self.probs if self.probs.dim() > 1 else self.probs[None]
            drawn = torch.distributions.Categorical(probs).sample((n,))
            return {self._targets[0]: drawn[:, 0] if self._joint else drawn}
        if self._integrable(self._below) and self._below.proposed == self._targets[:1]:
            found = [self._integral(self._below, part) for part in self._parts(self._given, 1 << 12)]
            self._how, self._error = self._method_name(sampled=False), None
            return {self._targets[0]: torch.cat([part.sample(n) for part in found], 1)}
        one = len(self._below.summed) == 1 and self._above.summed == self._below.summed
        if one and not self._sampled and self._below.factors.isdisjoint(self._targets):
            return self._by_class(n)
        return self._resample(n, seed)

    def _by_class(self, n: int) -> dict[str, Tensor]:
        """Draw the one hidden finite variable given what is given, and the targets given it."""
        assert self._below is not None
        (name,) = self._below.summed
        parts = []
        for data in self._parts(self._given, 1):
            scores = self._evaluate(self._below, data, None, keep=name)[0]
            code = torch.distributions.Categorical(logits=scores).sample((n,)).flatten()
            trace = self._ancestral(data.take(torch.arange(data.n).repeat(n)), {name: code})
            parts.append({name: trace[name]["value"].unflatten(0, (n, data.n)) for name in self._targets})
        self._how, self._error = self._method_name(sampled=False), None
        return {name: torch.cat([part[name] for part in parts], 1) for name in self._targets}

    def _ancestral(self, data: Data, parameters: Mapping[str, Tensor]) -> dict[str, Any]:
        """One run with only the given values clamped; hidden variables are drawn, not summed out."""
        return self._trace(replace(self._above, summed=()), {**self._observed(data), **parameters}, data)

    def _forward(self, n: int, seed: int | None) -> dict[str, Tensor]:
        """Ancestral sampling: nothing that is given depends on what is drawn."""
        data = self._given
        if not self._above.shared and not self._joint:
            trace = self._ancestral(data.take(torch.arange(data.n).repeat(n)), {})
            return {name: trace[name]["value"].unflatten(0, (n, data.n)) for name in self._targets}
        runs = [self._ancestral(data, parameters) for parameters in self._fresh_parameters(n, seed)]
        return {name: torch.stack([trace[name]["value"] for trace in runs]) for name in self._targets}

    def _fresh_parameters(self, n: int, seed: int | None) -> list[dict[str, Tensor]]:
        """One draw of the posterior for each sample; the prior's are drawn by the program itself."""
        if self._world.posterior is None:
            return [{}] * n
        drawn = self._drawn(n, seed)
        return [{name: values[i] for name, values in drawn.items()} for i in range(n)]

    def _resample(self, n: int, seed: int | None) -> dict[str, Tensor]:
        """Draw with weights p(given | hidden), then choose by them (sampling importance resampling)."""
        count = max(self.method.draws, 10 * n)
        parts, errors, ks = [], [], []
        for data in self._parts(self._given, count):
            values, weights = self._particles(data, count, seed)
            index = torch.distributions.Categorical(logits=weights.T).sample((n,))  # (n, rows)
            parts.append(
                {
                    name: v[index[:, 0]] if self._joint else v[index, torch.arange(v.shape[1])]
                    for name, v in values.items()
                }
            )
            errors.append(log_mean_exp_error(weights))
            ks.append(pareto_k(weights))
        self._finish(torch.cat(errors), torch.cat(ks), exact=False)
        return {
            name: parts[0][name] if self._joint else torch.cat([p[name] for p in parts], 1)
            for name in parts[0]
        }

    def _particles(self, data: Data, count: int, seed: int | None) -> tuple[dict[str, Tensor], Tensor]:
        """Weighted draws of the targets: name -> (count, rows, *event), or (count, *shape) if shared.

        Log weights are (count, rows), or (count, 1) where all rows tell of a target together.
        """
        above, below = self._above, self._below
        hidden = replace(
            above,
            clamped=above.clamped - set(self._targets),
            proposed=tuple({*above.proposed, *(below.proposed if below else ())}),
            summed=(),
        )
        shared = self._joint or bool(hidden.shared or (below and below.shared))
        rows = data.n
        if not shared:  # rows are independent: all particles in one run
            data = data.take(torch.arange(rows).repeat(count))
        values: dict[str, list[Tensor]] = {name: [] for name in self._targets}
        weights = []
        for parameters in self._fresh_parameters(count, seed) if shared else [{}]:
            trace, weight, common = self._weigh(hidden, data, parameters)
            weights.append((weight.sum() + common)[None] if self._joint else weight + common)
            for name in self._targets:
                values[name].append(trace[name]["value"])
        stacked = {
            name: torch.stack(v) if shared else v[0].unflatten(0, (count, rows)) for name, v in values.items()
        }
        return stacked, torch.stack(weights) if shared else weights[0].unflatten(0, (count, rows))

    def _mean(self, name: str) -> tuple[Tensor, Tensor | None]:
        """E[target | given], and its standard error."""
        site, draws = self._world.sites[name], self.method.draws
        if self._below is not None and self._integrable(self._below) and self._below.proposed == (name,):
            found = [self._integral(self._below, part) for part in self._parts(self._given, draws)]
            self._how = self._method_name(sampled=False)
            return torch.cat([part.mean for part in found]), None
        if self._below is not None and name in self._world.line.ancestors(self._values):
            means, errors, log_errors, ks = [], [], [], []
            for data in self._parts(
                self._given, draws
            ):  # what is given tells of the target: weigh draws by it
                values, log_weights = self._particles(data, draws, self.method.seed)
                weights = log_weights.softmax(0)
                value = values[name]
                weights = (weights if site.local else weights[:, 0]).reshape(
                    *weights.shape[: 2 if site.local else 1], *[1] * (value.dim() - (2 if site.local else 1))
                )
                mean = (weights * value).sum(0)
                means.append(mean)
                errors.append((weights * (value - mean)).square().sum(0).sqrt())
                log_errors.append(log_mean_exp_error(log_weights))
                ks.append(pareto_k(log_weights))
            self._finish(torch.cat(log_errors), torch.cat(ks), exact=False)
            return (torch.cat(means), torch.cat(errors)) if site.local else (means[0], errors[0])
        if site.drawn_only:  # no density, hence no mean of its own
            value = self._forward(draws, self.method.seed)[name]
            self._how = f"average of {draws:,} draws"
            return value.mean(0), value.std(0) / draws**0.5
        self._how = self._method_name()
        parts = [self._conditional_mean(name, part) for part in self._parts(self._given, draws)]
        value, error = (torch.cat(column) if site.local else column[0] for column in zip(*parts, strict=True))
        return value, error if self._sampled else None

    def _conditional_mean(self, name: str, data: Data) -> tuple[Tensor, Tensor]:
        """The average of the target's own mean over what is hidden, by the weight of the other factors."""
        site, above = self._world.sites[name], self._above
        terms = replace(above, clamped=above.clamped - {name}, factors=above.factors - {name})
        levels = [self._world.sites[v].levels for v in reversed(terms.summed)]
        values, weights = [], []
        average = bool(above.shared or above.proposed)
        for parameters in self._fresh_parameters(self.method.draws, self.method.seed) if average else [{}]:
            trace, rows, shared = self._weigh(terms, data, parameters)
            if getattr(bare(trace[name]["fn"]), "coded", False):
                raise Unanswerable(
                    f"{name!r} has columns of category codes, and codes have no mean: ask for .sample(n)"
                )
            value = mean_of(trace[name]["fn"])
            if value is None or not bool(torch.isfinite(value).all()):
                raise Unanswerable(
                    f"{name!r} has no finite mean in closed form here: average .sample(n) instead"
                )
            if site.local:
                shape = (*levels, *[1] * (self._world.plates - 1), data.n)
                weights.append((rows + shared).expand(shape).reshape(-1, data.n))
                value = value.expand(*shape, *value.shape[value.dim() - site.event_dim :])
                values.append(value.reshape(-1, data.n, *value.shape[len(shape) :]))
            else:
                weights.append(self._score(terms, data, parameters, None))
                values.append(value)
        log_weights, value = torch.stack(weights), torch.stack(values)  # (draws, levels, n), or (draws, 1)
        weight = (log_weights - log_weights.flatten(0, log_weights.dim() - 2).amax(0)).exp()
        weight = weight if site.local else weight[:, 0]
        weight = weight.reshape(*weight.shape, *[1] * (value.dim() - weight.dim()))
        if site.local:  # sum the hidden finite variables out
            value, weight = (weight * value).sum(1), weight.sum(1)
        else:
            value = weight * value
        mean = value.mean(0) / weight.mean(0)
        error = ((value - mean * weight) / weight.mean(0)).square().mean(0).sqrt() / len(value) ** 0.5
        return mean, error
