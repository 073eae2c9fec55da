"""How an estimator keeps a posterior: without rows, and pickled as a file of numbers and names."""

import tempfile
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ppl_gen.core import Conjugate
from ppl_gen.inference import Exact
from ppl_gen.inputs import describe
from ppl_gen.isolation import isolated
from ppl_gen.posterior import Posterior
from ppl_gen.storage import load, save


def lean(posterior: Posterior) -> Posterior:
    """The posterior without its rows, which may come again: to an estimator they are others."""
    return replace(posterior, data=None, fingerprints=())


def known(prior: Conjugate, n: int, counts: np.ndarray, features: Any) -> Posterior:
    """The posterior of a naive Bayes whose features have these hyperparameters, as of ``n`` rows.

    Args:
        prior: the joint.
        n: rows. counts: of each class, by weight (classes,).
        features: the posterior's family.
    """
    classes = prior.family("classes").updated(torch.as_tensor(counts))
    with torch.no_grad():
        after = prior.having(classes=classes, features=features)
        evidence = float(after.log_normalizer() - prior.log_normalizer())
    with isolated(0):
        sites = describe(prior, {})
    elbo = torch.tensor([evidence], dtype=torch.float64)
    shapes: dict[str, tuple[int, ...]] = {"x": (n, int(prior.features)), "y": (n,)}
    dtypes = {"x": torch.float64, "y": torch.int64}
    return Posterior(after, prior, None, Exact(), elbo, n, shapes, sites, (), evidence, dtypes=dtypes)


class _File:
    """The bytes of a saved posterior, compressed."""

    def __init__(self, content: bytes):
        self.content = content


def written(value: Any) -> Any:
    """A posterior as its file; of others the value itself."""
    if not isinstance(value, Posterior):
        return value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posterior.pplgen"
        save(value, path)
        return _File(zlib.compress(path.read_bytes()))


def read(value: Any) -> Any:
    """A file as its posterior; of others the value itself."""
    if not isinstance(value, _File):
        return value
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "posterior.pplgen"
        path.write_bytes(zlib.decompress(value.content))
        return lean(load(path))
