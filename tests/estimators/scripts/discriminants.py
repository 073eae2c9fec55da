"""Project onto the directions that tell the classes apart, and compare with principal components."""

import numpy as np
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

X, y = load_iris(return_X_y=True)
for solver in ("svd", "eigen"):
    lda = LinearDiscriminantAnalysis(solver=solver, n_components=2)
    X_r = lda.fit(X, y).transform(X)
    print(solver, np.abs(X_r[:4]).round(4).tolist(), lda.explained_variance_ratio_.round(6))
    print(np.abs(lda.coef_).round(5), lda.intercept_.round(5), lda.priors_.round(4))

for reduce in (PCA(n_components=2), LinearDiscriminantAnalysis(n_components=2)):
    pipe = make_pipeline(reduce, KNeighborsClassifier(5))
    print(cross_val_score(pipe, X, y, cv=5).round(6))
