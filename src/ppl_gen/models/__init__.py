"""One joint per file."""

from ppl_gen.models.gaussian_mixture import GaussianMixture
from ppl_gen.models.gaussian_naive_bayes import GaussianNaiveBayes
from ppl_gen.models.gaussian_regression import GaussianRegression
from ppl_gen.models.linear_discriminant_analysis import LinearDiscriminantAnalysis
from ppl_gen.models.linear_regression import LinearRegression
from ppl_gen.models.logistic_regression import LogisticRegression
from ppl_gen.models.quadratic_discriminant_analysis import QuadraticDiscriminantAnalysis
from ppl_gen.models.vae import VAE

__all__ = [
    "VAE",
    "GaussianMixture",
    "GaussianNaiveBayes",
    "GaussianRegression",
    "LinearDiscriminantAnalysis",
    "LinearRegression",
    "LogisticRegression",
    "QuadraticDiscriminantAnalysis",
]
