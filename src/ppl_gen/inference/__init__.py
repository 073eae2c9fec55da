"""Methods of inference. Nothing here names a model."""

from ppl_gen.inference.bare import PyroFit, fit_pyro
from ppl_gen.inference.checkpoints import Checkpoint
from ppl_gen.inference.cross_validation import CrossValidation
from ppl_gen.inference.elbo import elbo
from ppl_gen.inference.em import EM
from ppl_gen.inference.exact import Exact
from ppl_gen.inference.laplace import Laplace
from ppl_gen.inference.map import MAP
from ppl_gen.inference.maximum_likelihood import MaximumLikelihood
from ppl_gen.inference.nuts import NUTS
from ppl_gen.inference.parquet import Parquet
from ppl_gen.inference.recording_nuts import RecordingNUTS
from ppl_gen.inference.sources import Batches
from ppl_gen.inference.svi import SVI
from ppl_gen.inference.variational_bayes import VariationalBayes

__all__ = [
    "EM",
    "MAP",
    "NUTS",
    "SVI",
    "Batches",
    "Checkpoint",
    "CrossValidation",
    "Exact",
    "Laplace",
    "MaximumLikelihood",
    "Parquet",
    "PyroFit",
    "RecordingNUTS",
    "VariationalBayes",
    "elbo",
    "fit_pyro",
]
