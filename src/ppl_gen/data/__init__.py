"""Small data sets with named columns, all offline: shipped by scikit-learn or drawn from a known truth."""

from ppl_gen.data.bundled import breast_cancer, digits, iris, wine
from ppl_gen.data.dataset import Dataset
from ppl_gen.data.synthetic import gaussian_classes, gaussian_mixture, linear_gaussian

__all__ = [
    "Dataset",
    "breast_cancer",
    "digits",
    "gaussian_classes",
    "gaussian_mixture",
    "iris",
    "linear_gaussian",
    "wine",
]
