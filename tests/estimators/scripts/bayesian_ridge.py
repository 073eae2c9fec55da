"""Fit a noisy curve by polynomials whose weights are shrunk as far as the data say."""

import numpy as np
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

rng = np.random.RandomState(1234)
x = rng.uniform(0, 1, 40)
y = np.sin(2 * np.pi * x) + rng.normal(scale=0.1, size=40)
X = np.vander(x, 4, increasing=True)
ridge = BayesianRidge(tol=1e-6, fit_intercept=False, compute_score=True).set_params(
    alpha_init=1, lambda_init=1e-3
)
ridge.fit(X, y)
print(round(ridge.alpha_, 4), round(ridge.lambda_, 6), ridge.coef_.round(5).tolist(), ridge.n_iter_)
print(round(ridge.scores_[-1], 4), round(ridge.score(X, y), 6))

pipe = make_pipeline(PolynomialFeatures(6, include_bias=False), StandardScaler(), BayesianRidge())
print(cross_val_score(pipe, x[:, None], y, cv=5).round(6))
mean, spread = pipe.fit(x[:, None], y).predict([[0.25], [3.0]], return_std=True)
print(mean.round(4), spread[0] < spread[1])
