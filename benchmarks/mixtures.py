"""EM for Gaussian mixtures against scikit-learn's: 20 steps from one start to one log likelihood."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as SklearnGaussianMixture

from benchmarks.measure import Comparison, compare
from benchmarks.peers import worker
from ppl_gen import EM, fit
from ppl_gen.models import GaussianMixture

COMPONENTS, FEATURES, STEPS = 8, 20, 20
TARGETS = {"full": 0.40, "diagonal": 0.60, "tied": None, "spherical": None}


def rows(n: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    z = generator.integers(0, COMPONENTS, n)
    mix = np.eye(FEATURES) + 0.3 * generator.standard_normal((COMPONENTS, FEATURES, FEATURES))
    means = 1.5 * generator.standard_normal((COMPONENTS, FEATURES))
    return np.einsum("nd,nde->ne", generator.standard_normal((n, FEATURES)), mix[z]) + means[z]


def anchors(repeats: int, n: int = 100_000) -> Iterator[Comparison]:
    x = rows(n)
    for covariance, target in TARGETS.items():
        model = GaussianMixture(COMPONENTS, FEATURES, covariance=covariance)
        start = fit(model, EM(steps=1, restarts=1), x=x)
        theirs = _theirs(covariance, {name: value.numpy() for name, value in start.point.items()})

        def ours(start=start):
            return fit(start, EM(steps=STEPS, tolerance=0.0), x=x)

        def peer(theirs=theirs):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)  # 20 steps are meant
                return theirs.fit(x)

        np.testing.assert_allclose(ours().elbo[-1].item(), n * peer().score(x), rtol=1e-6)
        yield compare(f"{STEPS} steps of EM, {covariance}", ours, peer, repeats, target)


def _theirs(covariance: str, point: dict[str, np.ndarray]) -> SklearnGaussianMixture:
    if "sigma" in point:
        root = np.linalg.inv(point["sigma"])
        precisions = np.swapaxes(root, -1, -2) @ root
    else:
        precisions = point["tau"]
    return SklearnGaussianMixture(
        COMPONENTS,
        covariance_type={"diagonal": "diag"}.get(covariance, covariance),
        weights_init=point["pi"],
        means_init=point["mu"],
        precisions_init=precisions,
        max_iter=STEPS,
        tol=0.0,
        reg_covar=1e-9,
    )


POMEGRANATE = """
import numpy as np, torch
from pomegranate.distributions import Normal
from pomegranate.gmm import GeneralMixtureModel
given = np.load(PATH)
x, pi, mu, sigma = (torch.tensor(given[k], dtype=torch.float32) for k in ("x", "pi", "mu", "sigma"))

def run():
    parts = [Normal(m, c, covariance_type=KIND) for m, c in zip(mu, sigma)]
    GeneralMixtureModel(parts, priors=pi, max_iter=STEPS, tol=-1e30).fit(x)
"""


def pomegranate(python: str, repeats: int, n: int = 100_000) -> Iterator[Comparison]:
    """The same steps in pomegranate, which counts in float32; ``python`` has it."""
    x = rows(n)
    for covariance, theirs in (("full", "full"), ("diagonal", "diag")):
        start = fit(
            GaussianMixture(COMPONENTS, FEATURES, covariance=covariance), EM(steps=1, restarts=1), x=x
        )
        point = {name: value.numpy() for name, value in start.point.items()}
        covariances = (
            point["sigma"] @ np.swapaxes(point["sigma"], -1, -2) if "sigma" in point else 1 / point["tau"]
        )
        with TemporaryDirectory() as folder:
            path = Path(folder) / "start.npz"
            np.savez(path, x=x, pi=point["pi"], mu=point["mu"], sigma=covariances)
            program = POMEGRANATE.replace("STEPS", str(STEPS)).replace("PATH", repr(str(path)))
            with worker(python, program.replace("KIND", repr(theirs))) as peer:
                yield compare(
                    f"{STEPS} steps of EM, {covariance} (pomegranate: float32)",
                    lambda: fit(start, EM(steps=STEPS, tolerance=0.0), x=x),  # noqa: B023
                    peer,
                    repeats,
                )
