"""Factor analysis: probabilistic principal component analysis with a noise for every feature."""

from typing import Self

from torch import Tensor

from ppl_gen.distributions import LinearGaussian
from ppl_gen.models.ppca import PPCA


class FactorAnalysis(PPCA):
    """Factor analysis (Bishop 2006, section 12.2.4): `PPCA` whose features differ in their noise.

    ``z`` (n, latent) are the factors and ``x`` (n, features) the row. The units of the features do not
    matter, where they decide what PPCA finds. ``noise`` may be one number or (features,).

    >>> print(FactorAnalysis(features=4, latent=2))
    p(z) p(x | z)
    """

    tied = False

    def maximized(self, x: Tensor) -> Self:
        """The same model with the parameters that make the rows most likely."""
        if self.known or bool(x.isnan().any()):
            known = self.noise.square() if self.known else None
            return self.having(LinearGaussian.start(x, self.latent).em(x, False, known))
        return self.having(LinearGaussian.factors(x, self.latent))
