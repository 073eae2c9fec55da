"""Estimate the density of a mixture, and tell its components apart."""

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

X, y = make_blobs(
    n_samples=400, centers=[[0, 0], [4, 0], [0, 5]], cluster_std=[1.0, 0.7, 1.5], random_state=3
)
for covariance_type in ("full", "tied", "diag", "spherical"):
    mixture = GaussianMixture(n_components=3, covariance_type=covariance_type, random_state=0).fit(X)
    order = np.argsort(mixture.means_[:, 0])
    print(covariance_type, mixture.converged_, mixture.n_iter_, mixture.weights_[order].round(6))
    print(mixture.means_[order].round(6).tolist(), np.shape(mixture.covariances_))
    print(adjusted_rand_score(y, mixture.predict(X)), round(mixture.score(X), 6))

grid = np.array([[a, b] for a in (-2.0, 0.0, 4.0) for b in (0.0, 5.0)])
print(np.exp(mixture.score_samples(grid)).round(8).tolist())
print(mixture.predict_proba(grid).max(axis=1).round(6).tolist())
