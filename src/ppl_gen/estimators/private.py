"""The private names of scikit-learn that the estimators import, all of them: no public ones do this.

Beside these they use what scikit-learn looks for in an estimator itself: ``_parameter_constraints``, which
``_validate_params`` of `sklearn.base.BaseEstimator` reads, and ``_n_features_out`` of transformers.
"""

from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = ["HasMethods", "Interval", "StrOptions", "check_sample_weight"]
