"""Call rows outliers where a mixture finds them less likely than nearly all others."""

import numpy as np
from sklearn.datasets import make_moons
from sklearn.metrics import roc_auc_score
from sklearn.mixture import GaussianMixture
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

rng = np.random.RandomState(42)
inside, _ = make_moons(300, noise=0.05, random_state=0)
outside = rng.uniform(low=-3, high=3, size=(30, 2))
X, is_outlier = np.r_[inside, outside], np.r_[np.zeros(300), np.ones(30)]

detector = make_pipeline(StandardScaler(), GaussianMixture(8, reg_covar=1e-3, random_state=1)).fit(inside)
scores = detector.score_samples(X)
threshold = np.percentile(detector.score_samples(inside), 4)
print(round(threshold, 5), (scores < threshold)[:300].sum(), (scores < threshold)[300:].sum())
print(round(roc_auc_score(is_outlier, -scores), 6))
