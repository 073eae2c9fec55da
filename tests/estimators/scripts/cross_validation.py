"""Which of several classifiers predicts best?"""

from sklearn.datasets import load_iris
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis, QuadraticDiscriminantAnalysis
from sklearn.model_selection import StratifiedKFold, cross_val_score, cross_validate
from sklearn.naive_bayes import CategoricalNB, GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, StandardScaler

X, y = load_iris(return_X_y=True)
folds = StratifiedKFold(5, shuffle=True, random_state=0)
bins = KBinsDiscretizer(4, encode="ordinal", strategy="uniform")
for clf in (
    GaussianNB(),
    make_pipeline(StandardScaler(), GaussianNB(priors=[0.2, 0.4, 0.4])),
    make_pipeline(bins, CategoricalNB(min_categories=4)),
    LinearDiscriminantAnalysis(),
    LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    QuadraticDiscriminantAnalysis(reg_param=0.01),
):
    scores = cross_val_score(clf, X, y, cv=folds)
    losses = cross_validate(clf, X, y, cv=folds, scoring=["neg_log_loss", "roc_auc_ovr"])
    print(f"{scores.mean():.4f} ± {scores.std():.4f}", losses["test_neg_log_loss"].round(6))
    print(losses["test_roc_auc_ovr"].round(6))
