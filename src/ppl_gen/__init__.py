"""ppl-gen: every probabilistic model is one joint distribution, and every use of it a question to that joint."""

from ppl_gen.ask import Answer, Importance, LowerBound, ask
from ppl_gen.core import ProbabilisticModel
from ppl_gen.fit import fit
from ppl_gen.inference import SVI, Exact
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior

__version__ = "0.1.0"
__all__ = ["Answer", "Importance", "LowerBound", "ask", "SVI", "Exact", "Factorization", "Posterior", "ProbabilisticModel", "fit"]
