"""One joint per file."""

from ppl_gen.models.gaussian_mixture import GaussianMixture
from ppl_gen.models.gaussian_naive_bayes import GaussianNaiveBayes
from ppl_gen.models.logistic_regression import LogisticRegression
from ppl_gen.models.vae import VAE

__all__ = ["VAE", "GaussianMixture", "GaussianNaiveBayes", "LogisticRegression"]
