"""scikit-learn's estimators over ppl-gen's joints: drop-in names, signatures, attributes and behaviour.

How an estimator is written
    * One file, one class: a subclass of `base.Estimator` (rows and weights by scikit-learn's own checks,
      pickles without pickled models), of `base.Classifier` (all ``predict…`` and ``sample``, from
      ``_log_prior()`` and the joint asked at ``_point()``), or of `base.Incremental` (``fit`` and
      ``partial_fit``, from ``_learn(X, codes, weights, first)``).
    * ``__init__`` only stores its arguments; ``_parameter_constraints`` says what they may be, and ``fit``
      begins with ``self._validate_params()``.
    * ``fit`` goes through the verbs: `ppl_gen.fit` of a joint of `ppl_gen.models`, whose posterior, made
      `base.lean` (without rows), is kept; fitted attributes, under the twin's names, are plain NumPy arrays
      read off it. Answers come from `ppl_gen.ask`: ``Answer.log_joint`` holds the digits of small
      probabilities. ``posterior_`` goes to `ppl_gen.to_arviz`.
    * The docstring says which prior the numbers follow from, what is offered beyond the twin, and what is
      refused. Tests take a new estimator by a line in ``tests/estimators/catalogue.py``.

Nothing below imports this folder: the verbs do not know scikit-learn.
"""

from ppl_gen.estimators.bayesian_linear_regression import BayesianLinearRegression
from ppl_gen.estimators.bernoulli_nb import BernoulliNB
from ppl_gen.estimators.categorical_nb import CategoricalNB
from ppl_gen.estimators.gaussian_mixture import GaussianMixture
from ppl_gen.estimators.gaussian_nb import GaussianNB
from ppl_gen.estimators.kernel_nb import KernelNB
from ppl_gen.estimators.linear_discriminant_analysis import LinearDiscriminantAnalysis
from ppl_gen.estimators.logistic_regression import LogisticRegression
from ppl_gen.estimators.mixed_nb import MixedNB
from ppl_gen.estimators.multinomial_nb import MultinomialNB
from ppl_gen.estimators.ppca import PPCA
from ppl_gen.estimators.quadratic_discriminant_analysis import QuadraticDiscriminantAnalysis
from ppl_gen.estimators.vae import VAE

__all__ = [
    "PPCA",
    "VAE",
    "BayesianLinearRegression",
    "BernoulliNB",
    "CategoricalNB",
    "GaussianMixture",
    "GaussianNB",
    "KernelNB",
    "LinearDiscriminantAnalysis",
    "LogisticRegression",
    "MixedNB",
    "MultinomialNB",
    "QuadraticDiscriminantAnalysis",
]
