"""Methods of inference. Nothing here names a model."""

from ppl_gen.inference.bare import PyroFit, fit_pyro
from ppl_gen.inference.elbo import elbo
from ppl_gen.inference.exact import Exact
from ppl_gen.inference.laplace import Laplace
from ppl_gen.inference.maximum_likelihood import MaximumLikelihood
from ppl_gen.inference.nuts import NUTS
from ppl_gen.inference.svi import SVI

__all__ = ["NUTS", "SVI", "Exact", "Laplace", "MaximumLikelihood", "PyroFit", "elbo", "fit_pyro"]
