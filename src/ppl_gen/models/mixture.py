"""What makes a mixture of a naive Bayes: its labels are hidden, and are called components."""

from operator import attrgetter
from typing import Any, Self

import torch
from pyro.nn import PyroParam
from torch import Tensor
from torch.distributions import constraints

from ppl_gen.checks import positive, whole
from ppl_gen.core import Conjugate
from ppl_gen.distributions import StickBreaking, centre_and_spread, class_counts, filled, kmeans_plus_plus
from ppl_gen.distributions.sticks import stick_lengths
from ppl_gen.errors import DataError
from ppl_gen.models.renamed import Renamed


class Mixture(Conjugate):
    """A naive Bayes whose labels ``y`` are hidden: the same program, with ``z`` (n,) in their place.

    A mixture inherits from this class and from the naive Bayes that it hides the labels of, in this order.
    Component k of one posterior need not be component k of another: see `relabelled`.

    With ``weights="dirichlet process"``, in the place of ``pi`` the joint has ``v`` (components - 1,), the
    share that each component takes of what those before it left, ``Beta(1, concentration)`` a priori:
    ``p(v) … p(z | v)``. The weights are ``stick_lengths(v)``; all but a few are nearly zero if the
    concentration is small, so ``components``, where the process is truncated, may be many more than needed
    (Blei and Jordan 2006, Variational inference for Dirichlet process mixtures).
    """

    marginal = "p(z) p(x | z)"
    hidden = "z"

    def __init__(self, components: int, *sizes: Any, weights: str = "dirichlet", **kwargs: Any):
        super().__init__(whole("components", components), *sizes, **kwargs)
        self.components = components
        if weights == "dirichlet process":
            self._break_a_stick(positive("concentration", kwargs.get("concentration", 1.0)))
        elif weights != "dirichlet":
            raise DataError(f"weights: expected dirichlet, dirichlet process, got {weights!r}")

    def _break_a_stick(self, concentration: float) -> None:
        """Have a Dirichlet of two for each stick, this component and those after it, for that of all."""
        one = torch.ones(whole("components", self.components, least=2) - 1, 2, dtype=torch.float64)
        self.concentration = one * torch.tensor([1.0, concentration], dtype=torch.float64)
        self.q_concentration = PyroParam(one, constraints.positive)
        self.families = {**self.families, "classes": (StickBreaking, ("concentration",))}
        self.exchangeable = False
        self.joint, self.approximation = (
            line.replace("(pi)", "(v)").replace("| pi)", "| v)") for line in (self.joint, self.approximation)
        )

    def model(self, n: int) -> Tensor:
        with Renamed():
            value: Tensor = super().model(n)
            return value

    def guide(self) -> None:
        with Renamed():
            super().guide()

    def predictive(self, n: int, pi: Tensor | None = None, v: Tensor | None = None) -> Tensor:
        """One row with the parameters integrated out. ``pi``, or the sticks ``v``, may be given."""
        with Renamed():
            value: Tensor = super().predictive(n, pi if v is None else stick_lengths(v))
            return value

    def point(self, smoothing: float | None = None, **ridge: float) -> dict[str, Tensor]:
        """The parameters of largest likelihood, smoothed as those of the naive Bayes."""
        found: dict[str, Tensor] = super().point(*() if smoothing is None else (smoothing,), **ridge)
        return found if self.exchangeable else {"v" if name == "pi" else name: p for name, p in found.items()}

    def updated(self, x: Tensor, z: Tensor) -> Self:
        """The same model with the posterior's hyperparameters; ``z`` are components or weights of them."""
        return super().updated(x, z)

    def initialize(self, x: Tensor, z: Tensor | None = None, **_: Tensor) -> None:
        """Start the guide as the posterior would be if each row belonged to the nearest of rows far apart.

        Where some ``z`` are known, the mean of a component's rows takes the place of such a row.
        """
        super().initialize(x)
        rows = filled(x)
        centre, spread = centre_and_spread(rows)
        u = (rows - centre) / spread
        known = torch.full((len(u),), torch.nan) if z is None else z.double()
        seeds = kmeans_plus_plus(u, self.components)
        for level in known[~known.isnan()].unique():
            seeds[int(level)] = u[known == level].mean(0)
        nearest = torch.where(known.isnan(), torch.cdist(u, seeds).argmin(1), known.nan_to_num().long())
        if not self.exchangeable and bool(known.isnan().all()):  # the largest come first on the stick
            nearest = class_counts(nearest, self.components).argsort(descending=True).argsort()[nearest]
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
