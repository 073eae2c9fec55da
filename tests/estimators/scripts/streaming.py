"""Learn from a stream: each batch is first predicted, then learned from."""

import numpy as np
from sklearn.naive_bayes import GaussianNB, MultinomialNB

rng = np.random.default_rng(0)
centres = rng.normal(scale=1.5, size=(4, 6))
rates = rng.gamma(1.0, 3.0, size=(4, 6))
classes = np.arange(4)

for clf, draw in (
    (GaussianNB(), lambda y: rng.normal(centres[y])),
    (MultinomialNB(), lambda y: rng.poisson(rates[y])),
):
    right = []
    for batch in range(8):
        y = rng.integers(0, 4, size=50)
        X = draw(y)
        if batch:
            right.append(round(clf.score(X, y), 6))
        clf.partial_fit(X, y, classes=classes)
    print(type(clf).__name__, right, clf.class_count_)
