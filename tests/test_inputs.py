"""The door: what is welcome means the same in every form, and what is not is refused in plain words."""

import random

import numpy as np
import pandas as pd
import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.distributions import Distribution

from ppl_gen import ProbabilisticModel, ask, fit, log_evidence, models, to_arviz
from ppl_gen.errors import DataError, UnknownVariable
from ppl_gen.inputs import admit
from ppl_gen.models import GaussianNaiveBayes, LogisticRegression
from tests.readme import example

X = np.random.default_rng(0).normal(size=(6, 2))
Y = [0, 1, 0, 1, 0, 1]
HOLED = np.where(np.eye(6, 2, k=1, dtype=bool), np.nan, X)
NB = fit(GaussianNaiveBayes(classes=2, features=2), x=X, y=Y)


def inference_tensor():
    with torch.inference_mode():
        return torch.tensor(X)


def read_only():
    array = X.copy()
    array.setflags(write=False)
    return array


FORMS = {
    "Fortran": np.asfortranarray(X),
    "big-endian": X.astype(">f8"),
    "strided": np.repeat(X, 2, 0)[::2],
    "backwards": X[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": read_only(),
    "objects": X.astype(object),
    "long double": X.astype(np.longdouble),
    "masked array": np.ma.array(X),
    "lists": X.tolist(),
    "tuples": tuple(map(tuple, X)),
    "DataFrame": pd.DataFrame(X),
    "nullable": pd.DataFrame(X).astype("Float64"),
    "tensor": torch.tensor(X),
    "gradient": torch.tensor(X, requires_grad=True),
    "inference": inference_tensor(),
    "transposed": torch.tensor(X.T.copy()).T,
    "sparse": torch.tensor(X).to_sparse(),
    "rows of tensors": list(torch.tensor(X)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_the_same_data(form):
    kept = X.copy()
    assert torch.equal(ask(NB, "p(x)").log_prob(x=FORMS[form]), ask(NB, "p(x)").log_prob(x=X))
    assert np.array_equal(X, kept)


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_short_floats(kind):
    short = X.astype(kind)  # nothing but the rounding of the data is lost
    assert torch.equal(
        ask(NB, "p(x)").log_prob(x=short), ask(NB, "p(x)").log_prob(x=short.astype(np.float64))
    )


@pytest.mark.parametrize(
    "y",
    [
        np.array(Y, np.uint8),
        np.array(Y, bool),
        np.array(Y, ">i4"),
        np.array(Y, float),
        np.array(Y)[:, None],
        pd.Series(Y),
        pd.Series(Y, dtype="Int64"),
        pd.DataFrame({"y": Y}),
        torch.tensor(Y, dtype=torch.int32),
    ],
    ids=lambda y: f"{type(y).__name__} {getattr(y, 'dtype', '')}",
)
def test_class_codes(y):
    assert torch.equal(ask(NB, "p(x | y)", y=y).log_prob(x=X), ask(NB, "p(x | y)", y=Y).log_prob(x=X))


def nullable():
    return pd.DataFrame(np.where(np.isnan(HOLED), 0, X)).astype("Float64").mask(np.isnan(HOLED))


@pytest.mark.parametrize(
    "x",
    [
        np.where(np.isnan(HOLED), None, X.astype(object)),
        np.where(np.isnan(HOLED), pd.NA, X.astype(object)),
        nullable(),
        np.ma.array(X, mask=np.isnan(HOLED)),
        torch.tensor(HOLED),
    ],
    ids=["None", "NA in objects", "NA in a frame", "masked", "NaN"],
)
def test_missing_cells_in_every_form(x):
    probs = ask(NB, "p(y | x)", x=x).probs
    assert torch.equal(probs, ask(NB, "p(y | x)", x=HOLED).probs)
    assert not torch.equal(probs, ask(NB, "p(y | x)", x=X).probs)


BAD = {
    "text": ([["a", "b"]], "expected numbers, got <U1 such as 'a'. Encode classes as 0, 1, 2"),
    "complex": (X * 1j, "expected numbers, got complex128"),
    "complex tensor": (torch.tensor(X) * 1j, "expected real numbers, got torch.complex128"),
    "infinite": ([[0.0, 1.0], [np.inf, 0.0]], r"expected finite real numbers, got inf at \[1, 0\]"),
    "dates": (np.array([["2020-01-01"] * 2], "M8[D]"), "expected numbers, got datetime64"),
    "ragged": ([[1.0], [1.0, 2.0]], "expected numbers in rows of one length"),
    "a dict": ({"a": 1}, "expected an array, a tensor, a frame or a list, got a dict"),
    "nothing": (None, r"expected rows of shape \(2,\), got one number"),
    "no rows": (np.zeros((0, 2)), "expected at least one row, got none"),
    "too wide": (np.zeros((3, 3)), r"expected shape \(3, 2\) \(rows first\), got \(3, 3\)"),
    "too deep": (np.zeros((2, 2, 2)), r"expected shape \(2, 2\) \(rows first\), got \(2, 2, 2\)"),
}


@pytest.mark.parametrize("case", BAD)
def test_refuses_bad_rows(case):
    value, words = BAD[case]
    with pytest.raises(DataError, match=f"^x: {words}"):
        ask(NB, "p(y | x)", x=value)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (-1, "expected class codes 0 to 1, got -1"),
        (2, "expected class codes 0 to 1, got 2"),
        (1.5, "expected class codes 0 to 1, got 1.5"),
        ("a", "expected class codes 0 to 1, got 'a', and no fit has told which code that is"),
        (np.inf, "expected finite real numbers, got inf"),
        (None, "its missing cells"),
        (np.nan, "its missing cells"),
        (np.eye(2), r"expected shape \(2,\) \(rows first\), got \(2, 2\)"),
        (pd.Categorical(["a", "b"]), "expected class codes 0 to 1, got 'a'"),
    ],
)
def test_refuses_bad_codes(y, words):
    with pytest.raises(DataError, match=rf"^y: .*{words}" if "missing" in words else f"^y: {words}"):
        ask(NB, "p(x | y)", y=y)


def test_refuses_what_the_joint_does_not_have():
    with pytest.raises(UnknownVariable, match=r"'q' is not a variable .*Its variables are pi, tau, mu, y, x"):
        fit(GaussianNaiveBayes(classes=2, features=2), x=X, y=Y, q=1)
    with pytest.raises(DataError, match=r"^x: expected finite real numbers, got nan at \[0, 1\]"):
        fit(LogisticRegression(classes=2, features=2), x=HOLED, y=Y)
    with pytest.raises(DataError, match=r"^y: expected shape \(6,\) \(6 rows, as in x\), got \(2,\)"):
        ask(NB, "p(x | y)", y=[0, 1]).log_prob(x=X)


WRONG = {
    "more rows": ((5, 2), r"^y: expected shape \(5,\) \(5 rows, as in x\), got \(4,\)"),
    "fewer rows": ((3, 2), r"^x: expected .*4 rows, as in y.*got.* \(3, 2\)"),
    "more columns": ((4, 3), r"^x: expected shape \((rows|4), 2\).*got \(4, 3\)"),
    "one column": ((4, 1), r"^x: expected shape \((rows|4), 2\).*got \(4, 1\)"),
    "no columns": ((4,), r"^x: expected shape \((rows|4), 2\).*got \(4,\)"),
    "three dimensions": ((1, 4, 2), r"^x: expected shape \((rows|4), 2\).*got \(1, 4, 2\)"),
}
KINDS = ("Bayes", "Regression", "DiscriminantAnalysis", "SemiSupervisedVAE")
TARGETS = [name for name in models.__all__ if name.endswith(KINDS)]


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", TARGETS)
def test_a_wrong_shape_of_x_is_told_of_x(name, wrong):
    """Whether the joint generates x or is given it; the programs of those that are given it broadcast."""
    shape, words = WRONG[wrong]
    with pytest.raises(DataError, match=words):
        fit(example(getattr(models, name)), x=torch.ones(shape), y=[0, 1, 0, 1])


def test_a_wrong_shape_of_an_input_is_told_after_the_fit_too():
    posterior = fit(models.LinearRegression(features=2), x=X, y=X[:, 0])
    narrow = {"x": X[:, :1], "y": X[:, 0]}
    for ask_again in (
        lambda: ask(posterior, "p(y | x)", x=X[:, :1]),
        lambda: log_evidence(posterior, **narrow),
        lambda: to_arviz(posterior, draws=2, **narrow),
        lambda: fit(posterior, **narrow),
    ):
        with pytest.raises(DataError, match=r"^x: expected shape \(rows, 2\), got \(6, 1\)"):
            ask_again()
    code = models.ConditionalVAE(classes=2, features=2, latent=1)
    with pytest.raises(DataError, match=r"^y: expected shape \(rows,\), got \(6, 2\)"):
        fit(code, x=torch.ones(6, 2), y=torch.ones(6, 2))


class Exposed(ProbabilisticModel):
    """Three features are generated; what is given has other shapes, which only the program knows."""

    joint = "p(x | exposure, design)"

    def __init__(self):
        super().__init__()
        self.features = 3

    def model(self, exposure, design):
        with pyro.plate("data", len(exposure)):
            rate = exposure[:, None] * design.exp().sum(1, keepdim=True).expand(-1, 3)
            return pyro.sample("x", dist.Poisson(rate).to_event(1))


def test_inputs_of_other_shapes_pass_where_the_program_takes_them():
    given = {"exposure": np.ones(4), "design": np.zeros((4, 5))}
    assert admit(Exposed(), {"x": np.ones((4, 3)), **given}).n == 4
    with pytest.raises(DataError, match=r"^exposure: expected shape \(rows, 3\), got \(4, 1, 2\)"):
        admit(Exposed(), {"x": np.ones((4, 3)), **given, "exposure": np.ones((4, 1, 2))})


def test_parameters_are_held_to_their_support():
    for name, value, words in (
        ("pi", [0.5, 0.6], "expected probabilities that sum to 1, got"),
        ("tau", -np.ones((2, 2)), "numbers from 0 up"),
        ("mu", np.ones(2), r"expected shape \(2, 2\), got \(2,\)"),
    ):
        with pytest.raises(DataError, match=f"^{name}: .*{words}"):
            ask(NB, f"p({name})").log_prob(**{name: value})


def test_leaves_no_trace():
    def state():
        return (
            torch.get_rng_state().tolist(),
            np.random.get_state()[1].tolist(),
            random.getstate(),
            torch.get_default_dtype(),
            torch.is_grad_enabled(),
            Distribution._validate_args,
        )

    before = state()
    answer = ask(NB, "p(x, y)")
    for act in (
        lambda: answer.sample(3),
        lambda: answer.log_prob(x=X, y=Y),
        lambda: ask(NB, "p(y | x)", x=X).probs,
        lambda: ask(NB, "p(x)").mean,
        lambda: ask(NB, "p(mu)").mean,
        lambda: ask(NB, "p(y)").mode,
    ):
        act()
        assert state() == before
    with pytest.raises(DataError):
        answer.log_prob(x="a", y=1)
    assert state() == before


@pytest.mark.parametrize("context", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_the_callers_mode_changes_nothing(context):
    expected = ask(NB, "p(y | x)", x=X).probs
    torch.set_default_dtype(torch.float64)
    Distribution.set_default_validate_args(False)
    try:
        with context():
            assert torch.equal(ask(NB, "p(y | x)", x=torch.tensor(X)).probs, expected)
    finally:
        torch.set_default_dtype(torch.float32)
        Distribution.set_default_validate_args(True)


@pytest.mark.parametrize("rows", [20, 300_000])  # 4.8 MB: fingerprinted by blocks
def test_a_fingerprint_tells_every_change_of_the_rows(rows):
    x = np.random.default_rng(1).normal(size=(rows, 2))
    x[3:5] = [[2.0, -1.0], [-1.0, 2.0]]  # which sums do not tell from one another

    def print_of(change=lambda _: None):
        own = x.copy()
        change(own)
        return admit(GaussianNaiveBayes(classes=2, features=2), {"x": own}, missing=True).fingerprint()

    def swap(a, b):
        return lambda own: own.__setitem__([a, b], own[[b, a]])

    places = [(0, 0), (rows // 2, 1), (rows - 1, 0), (7, 1)]
    changes = [lambda own, at=at: own.__setitem__(at, np.nextafter(own[at], 9.0)) for at in places]
    changes += [lambda own, at=at: own.__setitem__(at, -own[at]) for at in places]
    changes += [swap(3, 4), swap(0, rows - 1), swap(rows // 3, rows // 2), lambda own: own.sort(0)]
    assert print_of() == print_of()
    assert len({print_of(), *map(print_of, changes)}) == 1 + len(changes)


def test_a_missing_cell_is_not_the_zero_that_stands_in_for_it():
    model = GaussianNaiveBayes(classes=2, features=2)
    rows = [admit(model, {"x": [[1.0, cell]], "y": [0]}, missing=True) for cell in (0.0, float("nan"))]
    assert rows[0].fingerprint() != rows[1].fingerprint()
