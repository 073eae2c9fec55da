"""ppl-gen: a probabilistic model is one joint distribution, and every use of it a question to that joint."""

from ppl_gen import ranks
from ppl_gen.ask import Answer, ask
from ppl_gen.calibration import CalibrationCurve, calibration_curve
from ppl_gen.clusters import Assignments, assignments, relabelled, together
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics import (
    compare_models,
    invariants,
    loo,
    loo_pit,
    predictive_check,
    reliability,
    summary,
    to_arviz,
    two_sample,
)
from ppl_gen.engine import Importance, LowerBound
from ppl_gen.equivalence import logistic_equivalent
from ppl_gen.evidence import Evidence, log_evidence
from ppl_gen.explanation import explain
from ppl_gen.fit import fit
from ppl_gen.imputation import imputed
from ppl_gen.inference import (
    EM,
    MAP,
    NUTS,
    SVI,
    Batches,
    Checkpoint,
    CrossValidation,
    Exact,
    Laplace,
    MaximumLikelihood,
    Parquet,
    PyroFit,
    VariationalBayes,
    fit_pyro,
)
from ppl_gen.laboratory import LearningCurves, learning_curves
from ppl_gen.linting import Finding, Findings, lint
from ppl_gen.normalisation import Normalisation, check_normalised
from ppl_gen.notation import Factorization
from ppl_gen.posterior import Posterior, merge
from ppl_gen.storage import load, save
from ppl_gen.tables import columns_of
from ppl_gen.testing import check_model

__version__ = "0.1.0"
__all__ = [
    "EM",
    "MAP",
    "NUTS",
    "SVI",
    "Answer",
    "Assignments",
    "Batches",
    "CalibrationCurve",
    "Checkpoint",
    "CrossValidation",
    "Evidence",
    # methods of inference, and of answering
    "Exact",
    "Factorization",
    "Finding",
    "Findings",
    "Importance",
    "Laplace",
    "LearningCurves",
    "LowerBound",
    "MaximumLikelihood",
    "Normalisation",
    "Parquet",
    "Posterior",
    # nouns
    "ProbabilisticModel",
    "PyroFit",
    "VariationalBayes",
    "ask",
    "assignments",
    "calibration_curve",
    "check_model",
    "check_normalised",
    "columns_of",
    "compare_models",
    "explain",
    # verbs
    "fit",
    "fit_pyro",
    "imputed",
    "invariants",
    "learning_curves",
    "lint",
    "load",
    "log_evidence",
    "logistic_equivalent",
    "loo",
    "loo_pit",
    "merge",
    "predictive_check",
    # several processes
    "ranks",
    "relabelled",
    "reliability",
    "save",
    "summary",
    "to_arviz",
    "together",
    "two_sample",
]
