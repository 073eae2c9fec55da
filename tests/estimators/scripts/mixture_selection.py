"""Choose the number of components and their shape by the Bayesian information criterion."""

import numpy as np
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV

rng = np.random.RandomState(0)
stretch = np.array([[0.0, -0.1], [1.7, 0.4]])
X = np.concatenate([rng.randn(150, 2) @ stretch, 0.7 * rng.randn(150, 2) + np.array([-4, 1])])

lowest = np.inf
for covariance_type in ("spherical", "tied", "diag", "full"):
    for n_components in range(1, 5):
        mixture = GaussianMixture(
            n_components, covariance_type=covariance_type, n_init=2, random_state=0
        ).fit(X)
        bic, aic = mixture.bic(X), mixture.aic(X)
        print(covariance_type, n_components, round(bic, 4), round(aic, 4))
        if bic < lowest:
            lowest, best = bic, mixture
print(best.covariance_type, best.n_components)


def score(mixture, X):
    """Higher is better for a search."""
    return -mixture.bic(X)


search = GridSearchCV(GaussianMixture(random_state=0), {"n_components": range(1, 5)}, scoring=score, cv=3)
print(search.fit(X).best_params_)
