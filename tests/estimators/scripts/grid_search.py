"""Choose how much to smooth, by cross-validation."""

import numpy as np
from sklearn.datasets import load_digits, load_wine
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import BernoulliNB, GaussianNB
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import PowerTransformer

pipe = Pipeline([("scale", PowerTransformer()), ("nb", GaussianNB())])
search = GridSearchCV(pipe, {"nb__var_smoothing": np.logspace(-9, 0, 4)}, cv=4, scoring="neg_log_loss")
search.fit(*load_wine(return_X_y=True))
print(search.best_params_, search.cv_results_["mean_test_score"].round(6))

X, y = load_digits(return_X_y=True)
search = GridSearchCV(BernoulliNB(binarize=4), {"alpha": [0.01, 1, 30], "fit_prior": [True, False]}, cv=3)
search.fit(X[:600], y[:600])
print(search.best_params_, search.cv_results_["mean_test_score"].round(6))
