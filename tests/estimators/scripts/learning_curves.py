"""How error falls with rows, and with the amount of smoothing; some rows count more than others."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.inspection import permutation_importance
from sklearn.model_selection import learning_curve, validation_curve
from sklearn.naive_bayes import GaussianNB, MultinomialNB

X, y = load_digits(n_class=5, return_X_y=True)
sizes, train, test = learning_curve(
    GaussianNB(var_smoothing=1e-2), X, y, train_sizes=[0.1, 0.5, 1.0], cv=3, shuffle=True, random_state=0
)
print(sizes, train.mean(1).round(6), test.mean(1).round(6))
train, test = validation_curve(MultinomialNB(), X, y, param_name="alpha", param_range=[0.1, 1, 10], cv=3)
print(train.mean(1).round(6), test.mean(1).round(6))

weights = np.where(y < 2, 3.0, 1.0)
clf = MultinomialNB().fit(X, y, sample_weight=weights)
print(clf.class_count_, np.exp(clf.class_log_prior_).round(6), round(clf.score(X, y, weights), 6))
found = permutation_importance(clf, X[:200], y[:200], n_repeats=1, random_state=0)
print(found.importances_mean.argsort()[-4:])
