"""The hyperparameters of conjugate families, kept by a model, with a copy that a guide trains."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pyro.nn import PyroModule, PyroParam
from torch import Tensor, nn
from torch.distributions import constraints

from ppl_gen.checks import hyperparameter, whole
from ppl_gen.distributions.columns import Columns
from ppl_gen.distributions.conjugate import NormalGamma
from ppl_gen.distributions.conjugate_counts import Beta, Dirichlets, Gamma
from ppl_gen.distributions.likelihoods import Categorical
from ppl_gen.distributions.starts import centre_and_spread
from ppl_gen.errors import DataError

# Each kind of column: its conjugate family, and the hyperparameters of its prior.
KINDS: dict[str, tuple[Any, dict[str, float]]] = {
    "gaussian": (NormalGamma, {"loc": 0.0, "strength": 0.01, "shape": 1.0, "rate": 0.01}),
    "bernoulli": (Beta, {"ones": 1.0, "zeros": 1.0}),
    "poisson": (Gamma, {"shape": 1.0, "rate": 0.1, "log_base": 0.0}),
    "categorical": (Dirichlets, {"pseudocount": 1.0}),
}
_FREE = ("loc", "log_base")  # hyperparameters that may be of any sign


class Prior(PyroModule):
    """A conjugate family as a part of a model: its tensors are buffers, so they are copied and saved with it.

    Args:
        family: `NormalGamma`, `Beta`, `Gamma`, `Dirichlets`, ….
        cells: the shape of its tensors.
        constants: what of it is no tensor.
        hyperparameters: numbers or arrays that fit ``cells``.

    >>> from ppl_gen.distributions import Beta
    >>> prior = Prior(Beta, (2, 3), ones=1.0, zeros=2.0)
    >>> prior.now().zeros.shape, prior.trained().zeros.requires_grad
    (torch.Size([2, 3]), True)
    """

    def __init__(self, family: Any, cells: tuple[int, ...], constants: Any = None, /, **hyperparameters: Any):
        super().__init__()
        self.family, self.constants = family, dict(constants or {})
        for name, value in self.constants.items():
            setattr(self, name, value)
        for name, value in hyperparameters.items():
            self.register_buffer(name, hyperparameter(name, value, cells, above_zero=name not in _FREE))
            if name != "log_base":  # it belongs to the data seen
                start = torch.zeros(cells) if name in _FREE else torch.ones(cells)
                q = nn.Parameter(start.double())
                setattr(
                    self, f"q_{name}", q if name in _FREE else PyroParam(q.detach(), constraints.positive)
                )

    def now(self) -> Any:
        """The family with its hyperparameters of today."""
        return self._filled("")

    def trained(self) -> Any:
        """The family with the guide's hyperparameters."""
        return self._filled("q_")

    def _filled(self, prefix: str) -> Any:
        names = [name for name in self.family._fields if name not in self.constants]
        found = {name: getattr(self, prefix * (name != "log_base") + name) for name in names}
        return self.family(**found, **self.constants)


class ColumnPriors(PyroModule):
    """A `Prior` for each kind of column: "gaussian", "bernoulli", "poisson", ``Categorical(levels)``.

    Args:
        classes: how many.
        columns: the kind of each column, in order, by name or as a list.
        priors: kind -> what replaces its default hyperparameters.

    Attributes:
        places: kind -> the columns of this kind.
        levels: of the categorical columns. names: of all columns, if they have some.

    Raises:
        DataError: a kind or a hyperparameter that does not exist.

    >>> ColumnPriors(2, {"age": "gaussian", "colour": Categorical(3), "size": "gaussian"}).places
    {'gaussian': [0, 2], 'categorical': [1]}
    """

    def __init__(
        self,
        classes: int,
        columns: Mapping[str, Any] | Sequence[Any],
        priors: Mapping[str, Mapping[str, Any]] | None = None,
    ):
        super().__init__()
        spec = list(columns.values() if isinstance(columns, Mapping) else columns)
        kinds = [_kind(column) for column in spec]
        self.names = tuple(columns) if isinstance(columns, Mapping) else ()
        self.features = whole("columns", len(spec))
        self.places = {k: [j for j, kind in enumerate(kinds) if kind == k] for k in KINDS if k in kinds}
        self.levels = tuple(whole("levels", c.levels) for c in spec if isinstance(c, Categorical))
        self.register_buffer("centre", torch.zeros(self.features).double())  # what the guide counts in
        self.register_buffer("spread", torch.ones(self.features).double())
        self.kinds = PyroModule[nn.ModuleDict]()
        own = dict(priors or {})
        for kind, place in self.places.items():
            family, default = KINDS[kind]
            settings = {**default, **own.pop(kind, {})}
            if settings.keys() != default.keys():
                raise DataError(f"priors: {kind} has {', '.join(default)}, got {', '.join(settings)}")
            several = kind == "categorical"
            cells = (classes, sum(self.levels) if several else len(place))
            self.kinds[kind] = Prior(family, cells, {"levels": self.levels} if several else {}, **settings)
        if own:
            raise DataError(f"priors: no column is {next(iter(own))!r}; there are {', '.join(self.places)}")

    def now(self) -> dict[str, Any]:
        """Kind -> the family with its hyperparameters of today."""
        return {kind: part.now() for kind, part in self.kinds.items()}

    def trained(self) -> dict[str, Any]:
        """Kind -> the family with the guide's hyperparameters, which count in units of the data."""
        families = {kind: part.trained() for kind, part in self.kinds.items()}
        if f := families.get("gaussian"):
            centre, spread = (unit[self.places["gaussian"]] for unit in (self.centre, self.spread))
            families["gaussian"] = f._replace(loc=centre + spread * f.loc, rate=f.rate * spread**2)
        if f := families.get("poisson"):
            families["poisson"] = f._replace(rate=f.rate / self.centre[self.places["poisson"]].clamp(min=0.1))
        return families

    def measure(self, x: Tensor) -> None:
        """Let the guide count in units of the rows ``x`` (n, columns)."""
        self.centre, self.spread = centre_and_spread(x)

    def families(self, place: str) -> dict[str, tuple[Any, tuple[str, ...]]]:
        """Kind -> its family and the names of its fields, in a model of which this is the part ``place``."""
        return {
            kind: (family := KINDS[kind][0], tuple(f"{place}.kinds.{kind}.{name}" for name in family._fields))
            for kind in self.places
        }

    def rows(self, families: Mapping[str, Any]) -> Columns:
        """Kind -> distributions of its columns, put in the columns' order."""
        return Columns([families[kind] for kind in self.places], list(self.places.values()))

    def together(self, parts: Sequence[Tensor]) -> Tensor:
        """Numbers for each kind's own columns (classes, columns of it) as (classes, columns)."""
        order = torch.tensor([column for place in self.places.values() for column in place]).argsort()
        return torch.cat(list(parts), 1)[:, order]

    def predictive(self, y: Tensor) -> Columns:
        """The next rows, of classes ``y``, parameters integrated out."""
        chosen = {kind: [v[y] if isinstance(v, Tensor) else v for v in f] for kind, f in self.now().items()}
        return self.rows({kind: KINDS[kind][0](*fields).predictive() for kind, fields in chosen.items()})


def _kind(column: Any) -> str:
    kind = "categorical" if isinstance(column, Categorical) else column
    if kind not in KINDS or column == "categorical":
        raise DataError(
            f"columns: expected gaussian, bernoulli, poisson or Categorical(levels) for each, got {column!r}"
        )
    return str(kind)
