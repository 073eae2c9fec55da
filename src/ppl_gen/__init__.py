"""ppl-gen: a probabilistic model is one joint distribution, and every use of it a question to that joint."""

from ppl_gen.ask import Answer, ask
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics import summary, to_arviz
from ppl_gen.engine import Importance, LowerBound
from ppl_gen.equivalence import logistic_equivalent
from ppl_gen.evidence import Evidence, log_evidence
from ppl_gen.explanation import explain
from ppl_gen.fit import fit
from ppl_gen.inference import NUTS, SVI, Exact, Laplace, MaximumLikelihood
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior, merge
from ppl_gen.storage import load, save
from ppl_gen.tables import columns_of
from ppl_gen.testing import check_model

__version__ = "0.1.0"
__all__ = [
    # verbs
    "fit",
    "merge",
    "ask",
    "to_arviz",
    "summary",
    "log_evidence",
    "explain",
    "logistic_equivalent",
    "columns_of",
    "check_model",
    "save",
    "load",
    # nouns
    "ProbabilisticModel",
    "Posterior",
    "Answer",
    "Evidence",
    "Factorization",
    # methods of inference, and of answering
    "Exact",
    "MaximumLikelihood",
    "SVI",
    "Laplace",
    "NUTS",
    "Importance",
    "LowerBound",
]
