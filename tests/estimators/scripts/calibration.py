"""Naive Bayes is too sure where features tell the same twice; calibration mends its probabilities."""

from sklearn.calibration import CalibratedClassifierCV, calibration_curve
from sklearn.datasets import make_classification
from sklearn.metrics import brier_score_loss, log_loss
from sklearn.model_selection import train_test_split
from sklearn.naive_bayes import GaussianNB

X, y = make_classification(600, n_features=20, n_informative=3, n_redundant=8, random_state=3)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=3)

for name, clf in {
    "plain": GaussianNB(),
    "sigmoid": CalibratedClassifierCV(GaussianNB(), cv=3, method="sigmoid"),
    "isotonic": CalibratedClassifierCV(GaussianNB(), cv=3, method="isotonic"),
}.items():
    prob_pos = clf.fit(X_train, y_train).predict_proba(X_test)[:, 1]
    fraction, mean = calibration_curve(y_test, prob_pos, n_bins=5)
    print(name, round(brier_score_loss(y_test, prob_pos), 6), round(log_loss(y_test, prob_pos), 5))
    print(fraction.round(4), mean.round(4))
