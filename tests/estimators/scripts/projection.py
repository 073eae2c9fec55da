"""Project rows on their principal axes, in a pipeline and by themselves."""

import numpy as np
from sklearn.datasets import load_digits, load_iris
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline

X, y = load_iris(return_X_y=True, as_frame=True)
pca = PCA(n_components=2).set_output(transform="pandas")
Z = pca.fit_transform(X)
print(pca.explained_variance_ratio_.round(8), pca.components_.round(6).tolist())
print(Z.shape, Z.iloc[:3].round(6).to_numpy().tolist(), pca.mean_.round(6))
print(np.abs(pca.inverse_transform(Z.to_numpy()) - X).to_numpy().mean().round(8))

X, y = load_digits(return_X_y=True)
X, y = X[:500], y[:500]
pipe = Pipeline([("pca", PCA(random_state=0)), ("nb", GaussianNB())])
search = GridSearchCV(pipe, {"pca__n_components": [5, 15, 0.8]}, cv=3).fit(X, y)
print(search.best_params_, search.cv_results_["mean_test_score"].round(6))
