"""The experiment: the same rows to all models, nested, paired, and from one seed."""

import math
import random

import numpy as np
import pytest
import torch
from sklearn.naive_bayes import GaussianNB

from ppl_gen import MAP, SVI, MaximumLikelihood, learning_curves
from ppl_gen.data import Dataset, gaussian_classes, iris
from ppl_gen.errors import DataError, Interrupted
from ppl_gen.laboratory import Copies, FewLabels, LabelShift, Missing
from ppl_gen.models import GaussianNaiveBayes, LogisticRegression, SharedGaussianNaiveBayes

DATA = gaussian_classes(400, features=3)
SIZES = (4, 20, 100)


class Spy:
    """A learner that keeps what it was shown, and predicts the training shares."""

    def __init__(self):
        self.train, self.test = [], []

    def __call__(self, train):
        self.train.append(train)
        shares = (torch.bincount(train.y, minlength=len(train.classes)) + 1.0) / (
            len(train) + len(train.classes)
        )

        def predict(test):
            self.test.append(test)
            return shares.log().expand(len(test), -1)

        return predict


def spied(data=DATA, sizes=SIZES, repeats=3, **options):
    spy = Spy()
    return spy, learning_curves({"spy": spy}, data, sizes, repeats, **options)


def rows(x):
    return set(map(tuple, x.tolist()))


def test_training_rows_are_nested_and_never_tested():
    spy, curves = spied(standardize=False)
    assert curves.held_out == 120
    assert [len(t) for t in spy.train] == [*SIZES] * 3
    for r in range(3):
        small, middle, large = (rows(spy.train[3 * r + s].x) for s in range(3))
        assert small < middle < large
        assert not large & rows(spy.test[3 * r].x)
    assert len({frozenset(rows(t.x)) for t in spy.test}) == 3  # another split in each repeat


def test_all_models_see_the_same_rows():
    one, two = Spy(), Spy()
    curves = learning_curves({"a": one, "b": two}, DATA, SIZES, 2)
    assert all(torch.equal(a.x, b.x) for a, b in zip(one.train, two.train, strict=True))
    assert torch.equal(curves.error[0], curves.error[1])
    assert curves.ahead() == ("", "", "")
    assert str(curves.crossing()) == "no crossing that 2 repeats can establish"


def test_columns_are_in_units_of_the_training_rows():
    spy, _ = spied(sizes=(50,))
    for train, test in zip(spy.train, spy.test, strict=True):
        torch.testing.assert_close(train.x.mean(0), torch.zeros(3).double(), atol=1e-12, rtol=0)
        assert test.x.mean(0).abs().max() > 1e-3


@pytest.mark.parametrize("stratify", [False, True])
def test_every_training_set_holds_every_class(stratify):
    """One row in a hundred is of class 1; by chance, three rows would hold one in 3 of 100 splits."""
    y = torch.zeros(300, dtype=torch.int64)
    y[:3] = 1
    rare = Dataset("rare", torch.randn(300, 1).double(), y, ("a", "b"), ("x",), "made here")
    spy, _ = spied(rare, (3, 30), 10, stratify=stratify)
    assert all(len(t.y.unique()) == 2 for t in spy.train)


def test_stratified_rows_have_the_classes_in_proportion():
    spy, _ = spied(iris(), (15, 60), 5, stratify=True)
    for part in (*spy.train, *spy.test):
        counts = torch.bincount(part.y, minlength=3)
        assert counts.max() - counts.min() <= 2
    plain, _ = spied(iris(), (15, 60), 5)
    assert max(int(torch.bincount(t.y).max() - torch.bincount(t.y).min()) for t in plain.train) > 2


def test_one_seed_decides_all_and_nothing_global_moves():
    models = {
        "nb": GaussianNaiveBayes(2, 3),
        "ml": (SharedGaussianNaiveBayes(2, 3), MaximumLikelihood()),
        "svi": (LogisticRegression(2, 3), SVI(steps=5)),
        "noisy": lambda train: lambda test: torch.randn(len(test), 2).log_softmax(1),
    }
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()
    one, two, other = (learning_curves(models, DATA, (8, 40), 2, seed) for seed in (1, 1, 2))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (np.random.get_state()[1].tolist(), random.getstate())
    assert torch.equal(one.error, two.error)
    assert torch.equal(one.log_loss, two.log_loss)
    assert not torch.equal(one.log_loss, other.log_loss)


def test_scores_are_those_of_their_definitions():
    probs = torch.tensor([0.2, 0.3, 0.5]).double()
    curves = learning_curves(
        {"fixed": lambda train: lambda test: probs.log().expand(len(test), 3)}, iris(), (9,), 2
    )
    spy, _ = spied(iris(), (9,), 2)
    for r in range(2):
        y = spy.test[r].y
        assert curves.error[0, r, 0] == pytest.approx((y != 2).double().mean().item())
        assert curves.log_loss[0, r, 0] == pytest.approx(-probs.log()[y].mean().item())
        assert curves.confidence[0, r, 0] == pytest.approx(0.5)


def test_a_scikit_learn_estimator_joins():
    """At the same point, ours and theirs are the same learner."""

    def theirs(train):
        fitted = GaussianNB(var_smoothing=1e-9).fit(train.x.numpy(), train.y.numpy())
        return lambda test: fitted.predict_log_proba(test.x.numpy())

    models = {"ours": (GaussianNaiveBayes(2, 3), MaximumLikelihood()), "theirs": theirs}
    curves = learning_curves(models, DATA, (40, 200), 2)
    torch.testing.assert_close(curves.log_loss[0], curves.log_loss[1], rtol=1e-6, atol=1e-8)
    assert curves.how == {"ours": "enumerated", "theirs": "as given"}


def test_table_is_tidy_and_bands_are_of_the_mean():
    _, curves = spied(repeats=5)
    table = curves.table()
    assert list(table.columns) == ["model", "rows", "score", "mean", "low", "high", "repeats"]
    assert len(table) == 3 * len(SIZES)
    row = table[(table["rows"] == 4) & (table.score == "error")].iloc[0]
    values = curves.error[0, :, 0]
    assert row["mean"] == pytest.approx(float(values.mean()))
    assert row.high - row["mean"] == pytest.approx(2.776445 * float(values.std()) / math.sqrt(5), rel=1e-5)


def test_verdict_figure_and_page():
    models = {"nb": SharedGaussianNaiveBayes(2, 3), "lr": LogisticRegression(2, 3)}
    curves = learning_curves(models, DATA, (4, 60), 3)
    assert curves.verdict().startswith("In error, ")
    assert curves.verdict() in str(curves)
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    page = curves._repr_html_()
    assert page.count("<svg") == 2
    assert plt.get_fignums() == before
    figure = curves.figure("log loss")
    assert figure.axes[0].get_ylabel() == "log loss on held-out rows (nats)"
    plt.close(figure)


def test_more_than_two_models_get_one_line_a_score():
    curves = learning_curves({"a": Spy(), "b": Spy(), "c": Spy()}, DATA, SIZES, 2)
    assert curves.verdict() == "In error, it is too close to call at every size."
    assert len(str(curves).splitlines()) == 3


def test_a_fit_that_is_stopped_stops_the_experiment():
    import warnings

    def stopped(train):
        warnings.warn("stopped by hand", Interrupted, stacklevel=1)

    with pytest.raises(KeyboardInterrupt):
        learning_curves({"stopped": stopped}, DATA, (4,), 2)


# Regimes ----------------------------------------------------------------------------------------------------


def test_copies():
    spy, curves = spied(regime=Copies(2, columns=1), standardize=False)
    assert spy.train[0].features == ("x0", "x1", "x2", "x0_copy1", "x0_copy2")
    assert torch.equal(spy.test[0].x[:, 3], spy.test[0].x[:, 0])
    assert curves.regime == "with 2 copies of the first 1 features"
    spy, _ = spied(regime=Copies(noise=0.5), standardize=False, sizes=(200,))
    error = spy.train[0].x[:, 3:] - spy.train[0].x[:, :3]
    assert 0.3 < float((error.std(0) / spy.train[0].x[:, :3].std(0)).mean()) < 0.7


def test_a_model_without_the_copies_is_told_of_them():
    with pytest.raises(
        DataError, match=r"expected 9 features, as .* has with 2 copies of each feature, got 3"
    ):
        learning_curves({"nb": GaussianNaiveBayes(2, 3)}, DATA, (4,), 2, regime=Copies(2))


def test_label_shift_and_who_is_told():
    models = {"nb": GaussianNaiveBayes(2, 3), "lr": LogisticRegression(2, 3), "spy": (spy := Spy())}
    curves = learning_curves(models, DATA, (100,), 6, regime=LabelShift((0.9, 0.1)))
    assert curves.models == ("nb", "nb (told p(y))", "lr", "spy")
    shares = torch.stack([(test.y == 0).double().mean() for test in spy.test])
    assert all(len(test) < 120 for test in spy.test)
    torch.testing.assert_close(shares, torch.full_like(shares, 0.9), atol=0.03, rtol=0)
    assert curves.ahead("log loss", ("nb", "nb (told p(y))")) == ("nb (told p(y))",)


def test_missing_cells():
    spy, _ = spied(regime=Missing(0.4), standardize=False)
    assert not spy.train[0].x.isnan().any()
    holes = torch.cat([t.x for t in spy.test[::3]]).isnan().double()
    assert abs(float(holes.mean()) - 0.4) < 5 * math.sqrt(0.24 / holes.numel())
    models = {"nb": GaussianNaiveBayes(2, 3), "lr": LogisticRegression(2, 3)}
    full = learning_curves(models, DATA, (100,), 4)
    holed = learning_curves(models, DATA, (100,), 4, regime=Missing(0.4, train=True))
    assert bool(torch.isfinite(holed.log_loss).all())
    assert bool((holed.log_loss.mean(1) > full.log_loss.mean(1)).all())  # holes cost


def test_rows_without_labels_help_the_generative_model():
    data = gaussian_classes(600, features=5, separation=3.0)
    models = {"nb": SharedGaussianNaiveBayes(2, 5), "lr": LogisticRegression(2, 5)}
    curves = learning_curves(models, data, (4,), 12, regime=FewLabels())
    assert curves.models == ("nb", "nb (with unlabelled rows)", "lr")
    assert curves.ahead() == ("nb (with unlabelled rows)",)


# Bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"models": {}}, "models: expected a mapping"),
        ({"models": {"a": 3}}, r"models\['a'\]: expected a model, .*got int"),
        ({"models": {"a": GaussianNaiveBayes(3, 3)}}, r"models\['a'\]: expected 2 classes.*got 3"),
        ({"models": {"a": GaussianNaiveBayes(2, 4)}}, r"models\['a'\]: expected 3 features.*got 4"),
        (
            {"models": {"a": lambda train: lambda test: torch.zeros(3)}},
            r"log probabilities \(120, 2\), got \(3,\)",
        ),
        ({"models": {"a": lambda train: lambda test: torch.zeros(120, 2)}}, "add up to 2"),
        ({"data": DATA.x}, "data: expected a ppl_gen.data.Dataset, got Tensor"),
        ({"sizes": (1, 5)}, "sizes: expected numbers from 2, one row of each class, to 280"),
        ({"sizes": (5, 281)}, "sizes: .* got 5, 281"),
        ({"sizes": 5}, "sizes: expected numbers of training rows, got 5"),
        ({"repeats": 1}, "repeats: expected a whole number from 2 up"),
        ({"test": 1.5}, "test: expected a share between 0 and 1 or a number of the 400 rows, got 1.5"),
        ({"regime": "copies"}, "regime: expected"),
    ],
)
def test_bad_input_is_named(change, message):
    arguments = {"models": {"spy": Spy()}, "data": DATA, "sizes": (4,), "repeats": 2} | change
    with pytest.raises(DataError, match=message):
        learning_curves(**arguments)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Copies(0),
        lambda: Copies(noise=-1),
        lambda: LabelShift((0.5, 0.6)),
        lambda: Missing(1.0),
        lambda: learning_curves({"spy": Spy()}, DATA, (4,), 2, regime=Copies(columns=9)),
        lambda: learning_curves({"spy": Spy()}, DATA, (4,), 2, regime=LabelShift((0.2, 0.3, 0.5))),
    ],
)
def test_bad_regimes_are_named(make):
    with pytest.raises(DataError, match=r"copies|noise|probs|share|columns"):
        make()


def test_map_is_the_default_without_a_closed_form():
    one = learning_curves({"lr": LogisticRegression(2, 3)}, DATA, (20,), 2)
    two = learning_curves({"lr": (LogisticRegression(2, 3), MAP())}, DATA, (20,), 2)
    assert torch.equal(one.log_loss, two.log_loss)
    assert one.how == {"lr": "exact, at the mode"}
    assert one.verdict() == "There is one model: lr."
    with pytest.raises(DataError, match="models: expected two of lr, got lr"):
        one.crossing()
    with pytest.raises(DataError, match="score: expected"):
        one.scores("accuracy")
