"""ppl-gen: a probabilistic model is one joint distribution, and every use of it a question to that joint.

PYTEST_DONT_REWRITE: the package has a plugin of pytest, which need not look for assertions in it.
"""

from ppl_gen import ranks
from ppl_gen.ask import Answer, ask
from ppl_gen.calibration import CalibrationCurve, calibration_curve
from ppl_gen.clusters import Assignments, assignments, relabelled, together
from ppl_gen.core import ProbabilisticModel
from ppl_gen.diagnostics import (
    Diagnosis,
    GuideQuality,
    compare_models,
    diagnose,
    guide_quality,
    invariants,
    loo,
    loo_pit,
    predictive_check,
    reliability,
    report,
    simulation_based_calibration,
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
    # verbs
    "fit",
    "fit_pyro",
    "merge",
    "ask",
    "to_arviz",
    "summary",
    "invariants",
    "diagnose",
    "guide_quality",
    "report",
    "predictive_check",
    "loo",
    "loo_pit",
    "compare_models",
    "reliability",
    "two_sample",
    "simulation_based_calibration",
    "log_evidence",
    "explain",
    "logistic_equivalent",
    "columns_of",
    "calibration_curve",
    "learning_curves",
    "assignments",
    "together",
    "relabelled",
    "imputed",
    "check_model",
    "check_normalised",
    "lint",
    "save",
    "load",
    # several processes
    "ranks",
    # nouns
    "ProbabilisticModel",
    "Batches",
    "Parquet",
    "Posterior",
    "PyroFit",
    "Answer",
    "Assignments",
    "Evidence",
    "Diagnosis",
    "GuideQuality",
    "Finding",
    "Findings",
    "Normalisation",
    "Factorization",
    "LearningCurves",
    "CalibrationCurve",
    # methods of inference, and of answering
    "Exact",
    "MaximumLikelihood",
    "CrossValidation",
    "EM",
    "VariationalBayes",
    "SVI",
    "Checkpoint",
    "MAP",
    "Laplace",
    "NUTS",
    "Importance",
    "LowerBound",
]
