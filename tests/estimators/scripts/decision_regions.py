"""The regions of the plane that each classifier gives to each class, as letters."""

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.naive_bayes import GaussianNB

X, y = make_blobs(150, centers=[[0, 0], [3, 3], [-2, 4]], cluster_std=[0.6, 1.6, 1.0], random_state=5)
names = np.array(["a", "b", "c"])
xx, yy = np.meshgrid(np.linspace(-6, 8, 36), np.linspace(8, -4, 13))
grid = np.c_[xx.ravel(), yy.ravel()]

for clf in (
    GaussianNB(),
    LinearDiscriminantAnalysis(store_covariance=True),
    QuadraticDiscriminantAnalysis(store_covariance=True),
):
    clf.fit(X, names[y])
    print(type(clf).__name__, clf.classes_)
    print("\n".join("".join(row) for row in clf.predict(grid).reshape(xx.shape)))
    print(clf.predict_proba(grid).max(1).min().round(6))
    if hasattr(clf, "covariance_"):
        print(np.round(clf.covariance_, 6), clf.decision_function(X[:3]).round(5))
