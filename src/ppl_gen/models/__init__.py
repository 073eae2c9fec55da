"""One joint per file."""

from ppl_gen.models.autoencoder import Autoencoder
from ppl_gen.models.bernoulli_mixture import BernoulliMixture
from ppl_gen.models.bernoulli_naive_bayes import BernoulliNaiveBayes
from ppl_gen.models.categorical_mixture import CategoricalMixture
from ppl_gen.models.categorical_naive_bayes import CategoricalNaiveBayes
from ppl_gen.models.conditional_vae import ConditionalVAE
from ppl_gen.models.denoising_autoencoder import DenoisingAutoencoder
from ppl_gen.models.discretised_regression import DiscretisedRegression
from ppl_gen.models.factor_analysis import FactorAnalysis
from ppl_gen.models.full_gaussian_mixture import FullGaussianMixture, TiedGaussianMixture
from ppl_gen.models.gaussian_mixture import GaussianMixture
from ppl_gen.models.gaussian_naive_bayes import GaussianNaiveBayes
from ppl_gen.models.gaussian_regression import GaussianRegression
from ppl_gen.models.kernel_naive_bayes import KernelNaiveBayes
from ppl_gen.models.linear_discriminant_analysis import LinearDiscriminantAnalysis
from ppl_gen.models.linear_regression import LinearRegression
from ppl_gen.models.logistic_regression import LogisticRegression
from ppl_gen.models.mixed_mixture import MixedMixture
from ppl_gen.models.mixed_naive_bayes import MixedNaiveBayes
from ppl_gen.models.multinomial_naive_bayes import MultinomialNaiveBayes
from ppl_gen.models.poisson_mixture import PoissonMixture
from ppl_gen.models.poisson_naive_bayes import PoissonNaiveBayes
from ppl_gen.models.ppca import PPCA
from ppl_gen.models.quadratic_discriminant_analysis import QuadraticDiscriminantAnalysis
from ppl_gen.models.semi_supervised_vae import SemiSupervisedVAE
from ppl_gen.models.shared_gaussian_naive_bayes import SharedGaussianNaiveBayes
from ppl_gen.models.spherical_gaussian_mixture import SphericalGaussianMixture
from ppl_gen.models.spherical_naive_bayes import SphericalNaiveBayes
from ppl_gen.models.vae import VAE

__all__ = [
    "PPCA",
    "VAE",
    "Autoencoder",
    "BernoulliMixture",
    "BernoulliNaiveBayes",
    "CategoricalMixture",
    "CategoricalNaiveBayes",
    "ConditionalVAE",
    "DenoisingAutoencoder",
    "DiscretisedRegression",
    "FactorAnalysis",
    "FullGaussianMixture",
    "GaussianMixture",
    "GaussianNaiveBayes",
    "GaussianRegression",
    "KernelNaiveBayes",
    "LinearDiscriminantAnalysis",
    "LinearRegression",
    "LogisticRegression",
    "MixedMixture",
    "MixedNaiveBayes",
    "MultinomialNaiveBayes",
    "PoissonMixture",
    "PoissonNaiveBayes",
    "QuadraticDiscriminantAnalysis",
    "SemiSupervisedVAE",
    "SharedGaussianNaiveBayes",
    "SphericalGaussianMixture",
    "SphericalNaiveBayes",
    "TiedGaussianMixture",
]
