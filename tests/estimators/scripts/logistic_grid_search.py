"""Logistic regression in a pipeline: choose its C, look at its weights, weigh the classes."""

import numpy as np
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

X, y = load_breast_cancer(return_X_y=True)
train_X, test_X, train_y, test_y = train_test_split(X, y, random_state=0, stratify=y)
pipe = Pipeline([("scale", StandardScaler()), ("lr", LogisticRegression(tol=1e-9, max_iter=5000))])
search = GridSearchCV(
    pipe, {"lr__C": [0.01, 1.0], "lr__class_weight": [None, "balanced"]}, cv=3, scoring="neg_log_loss"
)
search.fit(train_X, train_y)
print(search.best_params_, search.cv_results_["mean_test_score"].round(4))
print(round(log_loss(test_y, search.predict_proba(test_X)), 4), round(search.score(test_X, test_y), 4))
weights = search.best_estimator_.named_steps["lr"].coef_
print(weights.shape, weights.round(3).tolist())

X, y = load_wine(return_X_y=True, as_frame=True)
names = np.array(["Barolo", "Grignolino", "Barbera"])[y]
pipe.set_params(lr__C=0.1).set_output(transform="pandas").fit(X, names)
print(pipe.classes_, pipe.predict(X[:3]), pipe.predict_proba(X[:3]).round(4).tolist())
print(cross_val_score(pipe, X, names, cv=4).round(4))
