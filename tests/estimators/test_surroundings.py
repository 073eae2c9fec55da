"""Estimators give the same numbers whatever torch's defaults are around them."""

import pickle
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.base import clone

from ppl_gen import estimators as E

X = np.random.default_rng(0).integers(0, 3, (24, 3)).astype(float)
Y = np.arange(24) % 2
X[Y == 1, 0] += 1
SETTINGS = {
    "GaussianMixture": {"random_state": 0},
    "KernelNB": {"bandwidth": 1.0},
    "PPCA": {"n_components": 2, "random_state": 0},
    "VAE": {"hidden_layer_sizes": (4,), "steps": 3, "random_state": 0},
}


@contextmanager
def half():
    torch.set_default_dtype(torch.float16)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def answers(estimator):
    """Every number that it gives, before and after it was pickled; its posterior is asked for."""
    fitted, found = clone(estimator).fit(X, Y), []
    for made in (fitted, pickle.loads(pickle.dumps(fitted))):
        for name in ("predict_proba", "predict", "score_samples", "transform", "decision_function"):
            if hasattr(made, name):
                found.append(np.ravel(getattr(made, name)(X)))
        if hasattr(made, "sample"):
            rows = made.sample(3, random_state=0)
            found.append(np.ravel(rows[0] if isinstance(rows, tuple) else rows))
        assert made.posterior_.n == 24
    return np.concatenate(found).astype(float)


@pytest.mark.parametrize("name", E.__all__)
def test_defaults_of_torch_do_not_reach_in(name):
    estimator = getattr(E, name)(**SETTINGS.get(name, {}))
    plain = answers(estimator)
    for around in (lambda: torch.device("meta"), torch.inference_mode, half):
        with around():
            found = answers(estimator)
        np.testing.assert_array_equal(found, plain)
    assert torch.get_default_dtype() == torch.float32


def test_the_posterior_of_what_was_fitted_in_inference_mode_can_be_asked_for_outside():
    with torch.inference_mode():
        found = pickle.loads(pickle.dumps(E.LogisticRegression().fit(X, Y)))
    assert found.posterior_.n == 24
