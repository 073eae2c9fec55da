"""The log joint density of all parameters as one real vector: where modes and chains are sought."""

import copy
from functools import partial
from typing import Any

from pyro.infer.autoguide import AutoDiagonalNormal, init_to_median
from torch import Tensor
from torch.distributions import biject_to, identity_transform

from ppl_gen.arrays import row_weights
from ppl_gen.core import ProbabilisticModel, Program, initialize, is_local, run, variables
from ppl_gen.errors import DataError, Unanswerable
from ppl_gen.inference.elbo import elbo, log_prob, terms
from ppl_gen.inference.guides import AutoFullRank, Automatic, make_guide, point
from ppl_gen.inference.observed import enumerates
from ppl_gen.inputs import Data


class Unconstrained:
    """log p(data, parameters) + log |Jacobian| of a vector u; discrete variables of a row are summed out.

    Args:
        start: the model; a copy is initialised from the data, as SVI does.
        guide: a Gaussian guide to go on from, or another (or none) for a fresh start.
        data: all rows.
        prior: yesterday's guide, if it is the prior of these data.
        method: who asks, for errors.
        weights: how often each row counts (n,); once by default.

    Raises:
        Unanswerable: a row has hidden real numbers of its own, or the joint generates no parameters.
    """

    def __init__(
        self,
        start: ProbabilisticModel,
        guide: Any,
        data: Data,
        prior: Program | None,
        method: str,
        weights: Any = None,
    ):
        own = {
            n for n, site in data.sites.items() if site.local and not site.levels and n not in data.observed
        }
        if own:
            raise Unanswerable(
                f"{method} finds parameters that rows share; every row of {type(start).__name__} has its own "
                f"{', '.join(sorted(own))}: {start.joint}. Pass {min(own)}=…, or use SVI() with "
                f"a guide of it."
            )
        if all(site.local or name in data.observed for name, site in data.sites.items()):
            raise Unanswerable(
                f"{method} finds parameters that the joint generates, and {type(start).__name__} is "
                f"{start.joint}: all it learns are weights of networks, which are no variables. Use SVI(), "
                f"which trains them."
            )
        self.data, self.prior, self.method = data, prior, method
        if isinstance(guide, Automatic) and isinstance(guide.auto, AutoFullRank):
            self.p, self.guide = copy.deepcopy((start, guide))
        else:
            self.p = copy.deepcopy(start)
            if guide is None:
                initialize(self.p, data.gaps)
            family = AutoDiagonalNormal if method == "MAP" else AutoFullRank  # whose square a point needs not
            self.guide = make_guide(
                partial(family, init_loc_fn=init_to_median), self.p, data.values, data.observed
            )
        self.p.eval()
        self.start: Tensor = self.guide.auto.loc.detach().clone()
        found = variables(run(self.p.model, data.values, data.observed))
        self.maps = {
            name: biject_to(site["fn"].support)
            for name, site in found.items()
            if name not in data.observed and not site["fn"].has_enumerate_support
        }
        self.densities = {name: found[name]["fn"] for name in self.maps}
        self.shapes = {name: to.inv(found[name]["value"]).shape for name, to in self.maps.items()}
        drawn = terms(self.p.model, self.guide, data.values, data.observed, seen=data.seen)
        self.plates, sites = drawn.plates, drawn.p.values()
        self.plain = prior is None and not any(map(enumerates, sites))  # nothing to sum out: a plain sum
        self.weights = None if weights is None else row_weights(weights, data.n)
        if self.weights is not None and not self.plain:
            raise DataError(f"weights: expected rows of which nothing is hidden, got {type(start).__name__}")

    def __call__(self, u: Tensor) -> Tensor:
        """The log density in nats at ``u`` (parameters,), a scalar."""
        free, data = self._parts(u), self.data
        values = {name: self.maps[name](part) for name, part in free.items()}
        jacobian = sum(
            to.log_abs_det_jacobian(free[name], values[name]).sum()
            for name, to in self.maps.items()
            if to is not identity_transform
        )
        if self.plain:
            sites = variables(run(self.p.model, data.values, {**data.observed, **values}))
            return sum((self._score(name, site) for name, site in sites.items()), jacobian)
        # Yesterday's guide, if Pyro made it, draws these and maps them to the parameters.
        drawn = {"_auto_latent": u} | {f"{name}_unconstrained": part for name, part in free.items()}
        here = point(values | (drawn if self.prior else {}))
        return jacobian + elbo(
            self.p.model, here, data.values, data.observed, 1.0, self.plates, self.prior, data.seen
        )

    def _score(self, name: str, site: Any) -> Tensor:
        scores = log_prob(site, self.data.seen.get(name))
        if self.weights is None or not is_local(site):
            return scores.sum()
        return scores @ self.weights.to(scores.dtype)

    def values(self, u: Tensor) -> dict[str, Tensor]:
        """The parameters by name, each in its own support."""
        return {name: self.maps[name](part) for name, part in self._parts(u).items()}

    def _parts(self, u: Tensor) -> dict[str, Tensor]:
        parts = u.split([shape.numel() for shape in self.shapes.values()])
        return {name: part.reshape(self.shapes[name]) for name, part in zip(self.shapes, parts, strict=True)}
