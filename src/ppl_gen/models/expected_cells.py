"""What EM and variational Bayes do with missing cells that depend on the others of their row."""

from collections.abc import Mapping
from typing import Self

from torch import Tensor

from ppl_gen.core import Conjugate
from ppl_gen.distributions import memberships


class ExpectedCells(Conjugate):
    """A conjugate model with ``classes`` of multivariate Normal rows ``x``; parameters ``mu``, ``sigma``."""

    classes: int
    scaled = {"x": ("features",)}

    def completed(self, values: Mapping[str, Tensor], **rows: Tensor) -> tuple[Self, Tensor]:
        """The update by rows whose missing cells are expected at the ``values``, and these' entropy."""
        x, (label,) = rows["x"], [value for name, value in rows.items() if name != "x"]
        if not bool(x.isnan().any()):
            return super().completed(values, **rows)
        weights = memberships(label, self.classes).to(x.dtype)
        features, entropy = self.family("features").completed(
            weights, x, values.get("mu"), values.get("sigma")
        )
        return self.having(classes=self.family("classes").updated(weights.sum(0)), features=features), entropy
