"""Generative against discriminative where the truth is known (Ng and Jordan 2002)."""

import torch
from scipy.stats import norm

from ppl_gen import learning_curves
from ppl_gen.data import gaussian_classes
from ppl_gen.laboratory import Copies
from ppl_gen.laboratory.crossing import half_width
from ppl_gen.models import LogisticRegression, SharedGaussianNaiveBayes

DATA = gaussian_classes(3000, features=10, separation=2.0)
SIZES = (10, 40, 1000)
Z = 4.9  # two-sided 1e-6
NB, LR = "naive Bayes", "logistic regression"


def curves(features, regime=None):
    models = {
        NB: SharedGaussianNaiveBayes(2, features),
        LR: LogisticRegression(2, features, scale=10.0),
    }
    return learning_curves(models, DATA, SIZES, repeats=12, test=2000, regime=regime)


def test_where_naive_bayes_is_true_it_converges_first_and_both_meet():
    found = curves(10)
    nb, lr = found.error
    assert found.ahead()[1] == NB  # at 40 rows
    best = norm.cdf(-1.0)  # Bayes error of unit Gaussians 2 apart
    # Error above the best falls by half or more on the way; the generative one is nearly done at 40 rows.
    gaps = torch.stack([nb, lr]).mean(1) - best
    assert gaps[0, 1] < gaps[1, 1] / 2
    # They meet: at 1,000 rows the theory of normal discrimination puts them within
    # features / (4 rows) x a density below 1/2, far below the margin of one row in a hundred.
    difference = (nb - lr)[:, -1]
    assert abs(float(difference.mean())) + float(half_width(difference)) < 0.01
    assert abs(float((nb - lr)[:, 0].mean())) > 0.01  # the few rows do differ by more
    bands = [(float(v[:, -1].mean()), float(half_width(v[:, -1]))) for v in (nb, lr)]
    assert abs(bands[0][0] - bands[1][0]) < bands[0][1] + bands[1][1]  # the bands overlap
    assert not found.crossing()
    assert "no crossing" in found.verdict()


def test_with_copied_features_logistic_regression_wins():
    found = curves(26, Copies(8, columns=2))
    table = found.table()
    last = table[(table.score == "error") & (table["rows"] == 1000)].set_index("model")
    assert last.high[LR] < last.low[NB]  # bands that do not overlap
    gap = (found.error[0] - found.error[1])[:, -1]
    assert float(gap.mean()) > Z * float(gap.std()) / len(gap) ** 0.5
    assert found.ahead()[-1] == found.ahead("log loss")[-1] == LR
    # Naive Bayes is too sure by more than logistic regression.
    sure = found.confidence[..., -1].mean(1) - (1 - found.error[..., -1].mean(1))
    assert sure[0] > 0.05 > abs(sure[1])
