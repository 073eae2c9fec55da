"""Do generated rows look like real ones? Tests that say whether, and modes that say where not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ppl_gen.checks import whole
from ppl_gen.diagnostics.criticism.likeness import Mode, TwoSample
from ppl_gen.errors import DataError

Array = NDArray[Any]
MOST = 1000  # rows of each for the energy distance, whose cost is their square
LEAST = 40  # rows of each: half of them train
NEIGHBOURS = 15
FEWEST = 5  # rows of a mode that have a spread


def two_sample(
    real: Any,
    generated: Any,
    labels: Any = None,
    generated_labels: Any = None,
    /,
    *,
    modes: int | None = None,
    names: Sequence[str] | None = None,
    permutations: int = 999,
    level: float = 0.05,
    seed: int = 0,
) -> TwoSample:
    """Compare generated rows with real ones that the generator has not seen.

    *Classifiers*, a logistic regression and nearest neighbours, learn to tell the two apart on one half and
    are tested on the other (Lopez-Paz and Oquab 2017), by Fisher's exact test: exact whatever they prefer.
    *Energy distance*: by permutation (Székely and Rizzo 2004), on columns of one scale. *Modes*: classes, or
    clusters of one half of the real rows by k-means; the counts of the other half and of the generated rows
    are compared (chi-squared, by permutation), and so is each mode's spread about its own mean. What differs
    is named: a mode dropped, too rare or too frequent, too narrow or too wide. All at once are flagged by
    chance once in 1/level times (Holm 1979). Equal is never proved: what small samples cannot see is there.

    Args:
        real, generated: (n, …) and (m, …), at least 40 rows each; held-out rows for real ones, since a
            generator knows those it was fitted to.
        labels: modes of the real rows, as codes (n,).
        generated_labels: of the generated ones (m,); by default nearest neighbours among half of the real
            ones tell.
        modes: how many clusters, without labels; by default 8 or fewer.
        names: what the modes are called.
        permutations: of each permutation test.
        level: share of false alarms, of all together.
        seed: decides halves, clusters and permutations.

    Raises:
        DataError: the rows do not fit together, are too few, or are not finite.

    >>> rng = np.random.default_rng(0)
    >>> real = rng.normal(size=(300, 2)) + 8 * rng.integers(0, 2, (300, 1))
    >>> lacking = rng.normal(size=(300, 2))
    >>> found = two_sample(real, lacking, modes=2, names=["a", "b"])
    >>> sorted(mode.what for mode in found.modes)
    ['dropped', 'too frequent']
    """
    x, y = _rows("real", real), _rows("generated", generated)
    if x.shape[1] != y.shape[1]:
        raise DataError(f"generated: expected {x.shape[1]} columns, as real, got {y.shape[1]}")
    if not 0 < level < 1:
        raise DataError(f"level: expected a number between 0 and 1, got {level!r}")
    whole("permutations", permutations, least=99)
    rng = np.random.default_rng(whole("seed", seed, least=0))
    order = rng.permutation(len(x)), rng.permutation(len(y))
    codes = None if labels is None else _codes("labels", labels, len(x))[order[0]]
    own = None if generated_labels is None else _codes("generated_labels", generated_labels, len(y))[order[1]]
    if own is not None and codes is None:
        raise DataError("generated_labels: expected labels of the real rows too")
    both = np.concatenate([x, y])
    scale = both.std(0)
    keep = scale > 0
    x, y = ((v[:, keep] - both.mean(0)[keep]) / scale[keep] for v in (x[order[0]], y[order[1]]))
    if not keep.any():
        raise DataError("real: expected a column whose values differ")
    tests = {name: _told_apart(x, y, name, seed) for name in ("logistic regression", "nearest neighbours")}
    tests["energy distance"] = _energy(x[:MOST], y[:MOST], permutations, rng)
    half = len(x) // 2
    assigned = _assigned(x[:half], x[half:], y, codes, own, half, modes, seed)
    found = _modes(x[half:], y, *assigned, names, permutations, rng)
    tests["counts of modes"] = _counts(found, permutations, rng)
    p, ratio = min((mode.spread_p, mode.ratio) for mode in found)
    tests["spreads of modes"] = ratio, p
    return TwoSample.of(tests, found, len(x), len(y), level)


def _rows(name: str, values: Any) -> Array:
    rows = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values, dtype=float)
    if rows.ndim < 1 or len(rows) < LEAST:
        raise DataError(f"{name}: expected {LEAST} rows or more, got shape {rows.shape}")
    if not np.isfinite(rows).all():
        raise DataError(f"{name}: expected finite numbers; leave rows with missing cells out")
    return rows.reshape(len(rows), -1)


def _codes(name: str, values: Any, n: int) -> Array:
    codes = np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
    if codes.shape != (n,) or (codes != codes.round()).any() or codes.min() < 0:
        raise DataError(f"{name}: expected {n} codes 0, 1, …, got shape {codes.shape}")
    return codes.astype(int)


def _told_apart(x: Array, y: Array, kind: str, seed: int) -> tuple[float, float]:
    """Held-out accuracy, the mean of both kinds', and the probability of one as high were rows alike."""
    from scipy.stats import hypergeom
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    n = min(len(x), len(y))
    half = n // 2
    train = np.concatenate([x[:half], y[:half]])
    truth = np.repeat([0, 1], half)
    if kind == "logistic regression":
        model: Any = LogisticRegression(max_iter=1000, random_state=seed)
    else:
        model = KNeighborsClassifier(n_neighbors=min(NEIGHBOURS, 2 * (half // 4) + 1))
    model.fit(train, truth)
    tested = len(x) - half, len(y) - half
    called = model.predict(np.concatenate([x[half:], y[half:]]))
    wrong, right = int(called[: tested[0]].sum()), int(called[tested[0] :].sum())
    accuracy = ((1 - wrong / tested[0]) + right / tested[1]) / 2
    # Given how many were called generated, how many of those are is hypergeometric.
    p = hypergeom.sf(right - 1, sum(tested), tested[1], wrong + right)
    return accuracy, float(p)


def _energy(x: Array, y: Array, permutations: int, rng: np.random.Generator) -> tuple[float, float]:
    from scipy.spatial.distance import cdist

    both = np.concatenate([x, y])
    apart = cdist(both, both)
    sign = np.repeat([1 / len(x), -1 / len(y)], [len(x), len(y)])
    signs = np.stack([sign, *(rng.permutation(sign) for _ in range(permutations))])
    energies = -((signs @ apart) * signs).sum(1)
    return float(energies[0]), float((energies >= energies[0] * (1 - 1e-12)).mean())


def _assigned(
    train: Array, rest: Array, y: Array, codes: Array | None, own: Array | None, half: int,
    modes: int | None, seed: int,
) -> tuple[Array, Array, int]:  # fmt: skip
    """Modes of the held-out real rows and of the generated ones, by one rule where none are given."""
    from sklearn.cluster import KMeans
    from sklearn.neighbors import KNeighborsClassifier

    if codes is not None:
        count = int(max(codes.max(), 0 if own is None else own.max())) + 1
        if own is not None:
            return codes[half:], own, count
        near = KNeighborsClassifier(n_neighbors=min(5, len(train))).fit(train, codes[:half])
        return near.predict(rest), near.predict(y), count
    count = whole("modes", modes) if modes is not None else max(1, min(8, len(train) // 20))
    if count > len(np.unique(train, axis=0)):
        raise DataError(f"modes: expected at most one for each different row, got {count}")
    means = KMeans(count, n_init=5, random_state=seed).fit(train)
    return means.predict(rest), means.predict(y), count


def _modes(
    x: Array, y: Array, of_x: Array, of_y: Array, count: int, names: Sequence[str] | None,
    permutations: int, rng: np.random.Generator,
) -> tuple[Mode, ...]:  # fmt: skip
    from scipy.stats import fisher_exact

    if names is not None and len(names) != count:
        raise DataError(f"names: expected {count}, one for each mode, got {len(names)}")
    parts = [(x[of_x == k], y[of_y == k]) for k in range(count)]
    logs = np.stack([_spread(mine, theirs, permutations, rng) for mine, theirs in parts], 1)
    spread = logs.std(0)
    far = abs(logs) / np.where(spread > 0, spread, np.inf)
    spread_p = (far.max(1)[:, None] >= far[0] * (1 - 1e-12)).mean(0)  # of the farthest mode (max T)
    found = []
    for k, (mine, theirs) in enumerate(parts):
        table = [[len(mine), len(x) - len(mine)], [len(theirs), len(y) - len(theirs)]]
        p = float(fisher_exact(table)[1])
        name = str(names[k]) if names is not None else f"mode {k}"
        ratio = float(np.exp(logs[0, k])) if spread[k] > 0 else np.nan
        found.append(Mode(name, len(mine), len(x), len(theirs), len(y), p, ratio, float(spread_p[k])))
    return tuple(found)


def _spread(x: Array, y: Array, permutations: int, rng: np.random.Generator) -> Array:
    """log of the generated sd over the real one, about their own means, and of residuals dealt anew.

    All zero where rows are too few, or all alike.
    """
    if min(len(x), len(y)) < FEWEST:
        return np.zeros(permutations + 1)
    squares = [((v - v.mean(0)) ** 2).sum(1) * len(v) / (len(v) - 1) for v in (x, y)]
    every, n = np.concatenate(squares), len(x)
    if not every.any():
        return np.zeros(permutations + 1)
    orders = np.stack([np.arange(len(every)), *(rng.permutation(len(every)) for _ in range(permutations))])
    sums, tiny = every[orders], np.finfo(float).tiny
    logs: Array = 0.5 * np.log((sums[:, n:].mean(1) + tiny) / (sums[:, :n].mean(1) + tiny))
    return logs


def _counts(modes: Sequence[Mode], permutations: int, rng: np.random.Generator) -> tuple[float, float]:
    """Chi-squared of the two rows of counts, and how often rows dealt out at random have as much."""
    mine, theirs = (np.array([getattr(m, name) for m in modes]) for name in ("real", "generated"))
    total = mine + theirs
    dealt = np.vstack([theirs, rng.multivariate_hypergeometric(total, int(theirs.sum()), permutations)])
    expected = np.where(total > 0, total * theirs.sum() / total.sum(), 1.0)
    other = np.where(total > 0, total * mine.sum() / total.sum(), 1.0)
    chi = ((dealt - expected) ** 2 * (total > 0) * (1 / expected + 1 / other)).sum(1)
    return float(chi[0]), float((chi >= chi[0] * (1 - 1e-12)).mean())
