"""What makes a mixture of a naive Bayes: its labels are hidden, and are called components."""

from operator import attrgetter
from typing import Any, Self

import torch
from pyro.poutine.messenger import Messenger
from torch import Tensor

from ppl_gen.core import Conjugate
from ppl_gen.distributions import centre_and_spread, filled, kmeans_plus_plus

NAMES = {"y": "z", "classes": "components"}


class Mixture(Conjugate):
    """A naive Bayes whose labels ``y`` are hidden: the same program, with ``z`` (n,) in their place.

    A mixture inherits from this class and from the naive Bayes that it hides the labels of, in this order.
    Component k of one posterior need not be component k of another: see `relabelled`.
    """

    marginal = "p(z) p(x | z)"
    hidden = "z"

    def __init__(self, components: int, *sizes: Any, **kwargs: Any):
        super().__init__(components, *sizes, **kwargs)
        self.components = components

    def model(self, n: int) -> Tensor:
        with Renamed():
            value: Tensor = super().model(n)
            return value

    def guide(self) -> None:
        with Renamed():
            super().guide()

    def predictive(self, n: int, pi: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out. ``pi`` may be given."""
        with Renamed():
            value: Tensor = super().predictive(n, pi)
            return value

    def updated(self, x: Tensor, z: Tensor) -> Self:
        """The same model with the posterior's hyperparameters; ``z`` are components or weights of them."""
        after: Self = super().updated(x, z)
        return after

    def initialize(self, x: Tensor, **_: Tensor) -> None:
        """Start the guide as the posterior would be if each row belonged to the nearest of rows far apart."""
        super().initialize(x)
        rows = filled(x)
        centre, spread = centre_and_spread(rows)
        u = (rows - centre) / spread
        nearest = torch.cdist(u, kmeans_plus_plus(u, self.components)).argmin(1)
        with torch.no_grad():
            for name, value in self._start(self.updated(rows, nearest)).items():
                place, own = name.rpartition(".")[::2]
                owner, q = self.get_submodule(place), f"q_{own}"
                if q in dict(owner.named_parameters(recurse=False)):
                    getattr(owner, q).copy_(value)
                else:  # constrained
                    setattr(owner, q, value)

    def _start(self, after: Self) -> dict[str, Tensor]:
        """The guide's parameters that stand for the hyperparameters of ``after``, in the guide's units."""
        return {
            name: attrgetter(name)(after)
            for _, names in self.families.values()
            for name in names
            if hasattr(self.get_submodule(name.rpartition(".")[0]), f"q_{name.rpartition('.')[2]}")
        }


class Renamed(Messenger):
    """Call what a naive Bayes samples by a mixture's names."""

    def _pyro_sample(self, msg: dict[str, Any]) -> None:
        msg["name"] = NAMES.get(msg["name"], msg["name"])
        msg["cond_indep_stack"] = tuple(
            frame._replace(name=NAMES.get(frame.name, frame.name)) for frame in msg["cond_indep_stack"]
        )
