"""One joint per file."""

from ppl_gen.models.bernoulli_naive_bayes import BernoulliNaiveBayes
from ppl_gen.models.categorical_naive_bayes import CategoricalNaiveBayes
from ppl_gen.models.conditional_vae import ConditionalVAE
from ppl_gen.models.gaussian_mixture import GaussianMixture
from ppl_gen.models.gaussian_naive_bayes import GaussianNaiveBayes
from ppl_gen.models.gaussian_regression import GaussianRegression
from ppl_gen.models.linear_discriminant_analysis import LinearDiscriminantAnalysis
from ppl_gen.models.linear_regression import LinearRegression
from ppl_gen.models.logistic_regression import LogisticRegression
from ppl_gen.models.mixed_naive_bayes import MixedNaiveBayes
from ppl_gen.models.multinomial_naive_bayes import MultinomialNaiveBayes
from ppl_gen.models.poisson_naive_bayes import PoissonNaiveBayes
from ppl_gen.models.quadratic_discriminant_analysis import QuadraticDiscriminantAnalysis
from ppl_gen.models.semi_supervised_vae import SemiSupervisedVAE
from ppl_gen.models.shared_gaussian_naive_bayes import SharedGaussianNaiveBayes
from ppl_gen.models.vae import VAE

__all__ = [
    "VAE",
    "BernoulliNaiveBayes",
    "CategoricalNaiveBayes",
    "ConditionalVAE",
    "GaussianMixture",
    "GaussianNaiveBayes",
    "GaussianRegression",
    "LinearDiscriminantAnalysis",
    "LinearRegression",
    "LogisticRegression",
    "MixedNaiveBayes",
    "MultinomialNaiveBayes",
    "PoissonNaiveBayes",
    "QuadraticDiscriminantAnalysis",
    "SemiSupervisedVAE",
    "SharedGaussianNaiveBayes",
]
