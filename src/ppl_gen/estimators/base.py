"""What all estimators share: how rows and labels come in, and what is answered."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FunctionType
from typing import Any, Self

import numpy as np
import torch
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.exceptions import NotFittedError
from sklearn.utils import assert_all_finite, check_array, check_random_state
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import check_is_fitted, validate_data

from ppl_gen.arrays import as_tensor, dense, refuse_extremes
from ppl_gen.ask import ask
from ppl_gen.checks import whole
from ppl_gen.core import ProbabilisticModel
from ppl_gen.errors import DataError
from ppl_gen.estimators.class_labels import encode, labels
from ppl_gen.estimators.kept import read, written
from ppl_gen.estimators.private import check_sample_weight
from ppl_gen.frames import is_frame, refuse_dates
from ppl_gen.isolation import undisturbed
from ppl_gen.posterior import Posterior

CELLS = 2**27  # of sparse rows that are made dense: a gibibyte


class Estimator(BaseEstimator):
    """A scikit-learn estimator that keeps `Posterior` objects among its attributes.

    They hold no rows, so that grids of estimators do not either, and are pickled as the bytes of the file
    that `ppl_gen.save` writes: numbers and names. Public methods are `undisturbed` by torch's surroundings.
    """

    missing: bool = True  # whether NaN stands for "not observed"
    sparse: bool = False  # whether SciPy's sparse rows are taken
    least_weight: float = 1e-100  # that rows may have together: what twins scale freely, priors do not
    most_weight: float = 1e100

    def __init_subclass__(cls, **options: Any):
        super().__init_subclass__(**options)
        for name, value in list(vars(cls).items()):
            if isinstance(value, FunctionType) and not name.startswith("_"):
                setattr(cls, name, undisturbed()(value))
            elif name == "posterior_" and isinstance(value, property) and value.fget is not None:
                setattr(cls, name, property(undisturbed()(value.fget)))

    def _rows(self, X: Any, y: Any = "no_validation", *, reset: bool = False, **options: Any) -> Any:
        """``X``, or ``X`` and ``y``, by scikit-learn's own checks and with its messages."""
        refuse_dates("X", X)
        X, y = _bare("X", X), _bare("y", y)
        alone = y is None or isinstance(y, str)
        settings = {
            "ensure_all_finite": False,
            "accept_sparse": "csr" if self.sparse else False,
            **options,
        }
        if is_frame(X) and not hasattr(X, "iloc") and X.to_numpy().dtype == object:
            settings.setdefault("dtype", np.float64)  # of decimals, and texts that are numbers
        with naming("X" if isinstance(y, str) else "X, y"):
            try:
                found = validate_data(self, X, y, reset=reset, **settings)
            except ValueError as error:
                if "could not convert string" in str(error) or "arrays of bytes/strings" in str(error):
                    _refuse_text(X)
                raise
            rows, largest = found if alone else found[0], math.inf
            rows = rows.data if issparse(rows) else rows
            kind = getattr(getattr(rows, "dtype", None), "kind", "")
            if kind in "Mmfu" and isinstance(rows, np.ndarray) and rows.dtype.itemsize >= 8:
                largest = refuse_extremes("X", as_tensor("X", rows, torch.float64), small=reset)
            if not math.isfinite(largest):  # one look at all numbers suffices
                name = type(self).__name__
                assert_all_finite(rows, allow_nan=self.missing, estimator_name=name, input_name="X")
        return found

    def _weights(self, sample_weight: Any, X: Any) -> Any:
        """One number for each row, or None if all count once."""
        if sample_weight is None:
            return None
        refuse_dates("sample_weight", sample_weight)
        with naming("sample_weight"):
            weights = check_sample_weight(_bare("sample_weight", sample_weight), X, dtype=np.float64)
        if (weights < 0).any():
            raise ValueError(f"sample_weight: expected numbers from 0 up, got {weights.min():g} among them")
        with np.errstate(over="ignore"):
            total = weights.sum()
        if total < self.least_weight:
            raise DataError(
                f"sample_weight: expected weights that add up to at least {self.least_weight:g}, got "
                f"{total:g}: multiply all by the same number"
            )
        if total > self.most_weight:
            raise DataError(
                f"sample_weight: expected weights that add up to at most {self.most_weight:g}, got "
                f"{total:g}: divide all by the same number"
            )
        return weights

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing
        tags.input_tags.sparse = self.sparse
        return tags

    def __getstate__(self) -> dict[str, Any]:
        return {name: written(value) for name, value in super().__getstate__().items()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        super().__setstate__({name: read(value) for name, value in state.items()})


class Classifier(ClassifierMixin, Estimator):
    """A classifier that generates: Bayes' rule turns log p(y) + log p(x | y) into every answer.

    A subclass fits ``classes_``, and either ``class_prior_``, ``priors_`` or ``class_log_prior_``; it has
    ``posterior_``, the joint's posterior, and says by ``_asked`` and ``_point`` what is asked, and at which
    parameters (none: on average over the posterior).
    """

    classes_: np.ndarray

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior, for `ppl_gen.ask` and `ppl_gen.to_arviz`."""
        raise NotImplementedError

    def _asked(self) -> ProbabilisticModel | Posterior:
        """What answers: the posterior, or the joint where ``_point`` gives all of its parameters."""
        return self.posterior_

    def predict_joint_log_proba(self, X: Any) -> np.ndarray:
        """log p(x, y) of every row and class, shape (n_samples, n_classes)."""
        check_is_fitted(self)
        return self._joint_log_proba(self._rows(X))

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """log p(y | x) of every row and class, shape (n_samples, n_classes)."""
        return normalised(self.predict_joint_log_proba(X))

    def predict_proba(self, X: Any) -> np.ndarray:
        """p(y | x) of every row and class, shape (n_samples, n_classes)."""
        return np.exp(self.predict_log_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of every row, shape (n_samples,)."""
        best = self.predict_joint_log_proba(X).argmax(1)
        return self.classes_[best]

    def sample(self, n_samples: int = 1, y: Any = None, random_state: Any = None) -> tuple[Any, np.ndarray]:
        """Draw rows from p(x, y), or from p(x | y) if ``y`` is given.

        Args:
            n_samples: how many.
            y: a class, or one for each row.
            random_state: None draws anew at every call.

        Returns:
            The rows (n_samples, n_features) and their classes (n_samples,).
        """
        check_is_fitted(self)
        n, random = whole("n_samples", n_samples), drawing(random_state)
        if y is None:
            codes = random.choice(len(self.classes_), n, p=np.exp(self._log_prior()))
        else:
            wanted = np.atleast_1d(y)
            if wanted.shape not in ((1,), (n,)):
                raise DataError(f"y: expected a class, or one for each of {n} rows, got shape {wanted.shape}")
            with naming("y"):
                codes = np.broadcast_to(encode(wanted, self.classes_), n)
        seed = int(random.randint(2**31))
        given = {name: value for name, value in self._point().items() if name != "pi"}
        asked = ask(self._asked(), f"p(x | {', '.join(['y', *given])})", y=codes, **given)
        return asked.sample(seed=seed).numpy(), self.classes_[codes]

    def _log_prior(self) -> np.ndarray:
        """log p(y), shape (n_classes,); minus infinity for a class that cannot be."""
        if hasattr(self, "class_log_prior_"):
            return self.class_log_prior_
        with np.errstate(divide="ignore"):
            return np.log(self.class_prior_ if hasattr(self, "class_prior_") else self.priors_)

    def _point(self) -> dict[str, Any]:
        """The parameters that the twin plugs in, by their names in the joint."""
        return {}

    def _joint_log_proba(self, X: Any) -> np.ndarray:
        """log p(y) + log p(x | y): the joint is asked with equal pi, then the class prior is added."""
        classes = len(self.classes_)
        given = {**self._point(), "pi": np.full(classes, 1 / classes)}
        asked = ask(self._asked(), f"p(y | x, {', '.join(given)})", x=X, **given)
        scores: np.ndarray = asked.log_joint.numpy() + np.log(classes)
        scores += self._log_prior()
        return scores


class Incremental(Classifier):
    """A `Classifier` that learns by Bayes' rule, so that it can go on: ``fit``, and ``partial_fit``.

    A subclass writes ``_learn(X, codes, weights, first)``: what the rows add to what was known before.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows (n_samples, n_features) and their classes (n_samples,).

        Args:
            X: the rows. y: their classes, of any kind.
            sample_weight: how often each row counts (n_samples,); once by default.
        """
        self._validate_params()
        return self._take(X, y, sample_weight, None, first=True)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Learn from more rows: yesterday's posterior is today's prior.

        Args:
            X, y, sample_weight: as for ``fit``.
            classes: all classes there are; needed at the first call.
        """
        self._validate_params()
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        with naming("classes"):
            known = None if classes is None else unique_labels(classes)
        if not first and known is not None and not np.array_equal(known, self.classes_):
            raise ValueError(
                f"`classes={classes}` is not the same as on last call to partial_fit, was: {self.classes_}"
            )
        return self._take(X, y, sample_weight, known, first)

    def _take(self, X: Any, y: Any, sample_weight: Any, classes: Any, first: bool) -> Self:
        X, y = self._rows(X, y, reset=first)
        weights = self._weights(sample_weight, X)
        if first:
            self.classes_ = labels(y) if classes is None else classes
        self._learn(X, encode(y, self.classes_), weights, first)
        return self

    def _learn(self, X: Any, codes: np.ndarray, weights: Any, first: bool) -> None:
        raise NotImplementedError


def normalised(scores: np.ndarray) -> np.ndarray:
    """log p(y | x) from log p(x, y), or from that less what a row's classes share (n_samples, n_classes)."""
    found: np.ndarray = torch.from_numpy(scores.T).log_softmax(0).T.numpy()
    return found


def densified(X: Any) -> Any:
    """Sparse rows as an array, if it is not too large; others as they are."""
    if not issparse(X):
        return X
    rows, columns = X.shape
    if rows * columns > CELLS:
        raise DataError(
            f"X: expected sparse rows of at most {CELLS:,} cells, since they are made dense here (1 GiB), "
            f"got {rows:,} x {columns:,}: take fewer columns, as by "
            f"TfidfVectorizer(max_features={CELLS // rows}), or put "
            f"sklearn.decomposition.TruncatedSVD(100) before"
        )
    return X.toarray()


def coded(X: Any, components: int) -> np.ndarray:
    """Codes of rows (n, components), for ``inverse_transform``."""
    with naming("X"):
        codes: np.ndarray = check_array(_bare("X", X), dtype=[np.float64, np.float32], input_name="X")
    if codes.shape[1] != components:
        raise ValueError(f"X: expected shape (n_samples, {components}), got {codes.shape}")
    return codes


@contextmanager
def naming(argument: str) -> Iterator[None]:
    """scikit-learn's messages that tell no argument begin with it."""
    try:
        yield
    except Exception as error:  # polars and NumPy have kinds of their own
        if isinstance(error, NotFittedError) or any(
            re.search(rf"\b{name}\b", str(error)) for name in argument.split(", ")
        ):
            raise
        kind = TypeError if isinstance(error, TypeError) else DataError
        raise kind(f"{argument}: {error}") from error


def drawing(random_state: Any) -> np.random.RandomState:
    """What draws by this ``random_state``."""
    with naming("random_state"):
        found: np.random.RandomState = check_random_state(random_state)
    return found


def _refuse_text(X: Any) -> None:
    """Name the first cell whose text is no number."""
    cells = np.asarray(X.to_numpy() if is_frame(X) else X, dtype=object)
    for place in np.ndindex(cells.shape):
        cell = cells[place]
        try:
            float(cell if isinstance(cell, str | bytes) else 0)
        except ValueError as error:
            column = repr(X.columns[place[-1]]) if is_frame(X) else place[-1]
            raise DataError(
                f"X: expected numbers, got {cell!r} in column {column}, row {place[0]}: {error}. Leave the "
                f"column out, make numbers of its texts by sklearn.preprocessing.OneHotEncoder, or take "
                f"MixedNB, which reads them as categories"
            ) from error


def _bare(name: str, value: Any) -> Any:
    """A tensor as an array, and a masked array's masked cells as NaN; of others the value itself."""
    if isinstance(value, torch.Tensor):
        return _numpy(dense(name, value))
    if not np.ma.isMaskedArray(value) or not np.ma.getmaskarray(value).any():
        return value
    if name != "X":
        raise DataError(
            f"{name}: expected one for each row, got {int(np.ma.getmaskarray(value).sum())} masked: leave "
            f"these rows out, keep = ~{name}.mask"
        )
    with naming(name):
        cells = np.asarray(value if value.dtype.kind == "f" else value.astype(np.float64))
        return np.where(np.ma.getmaskarray(value), np.nan, cells)


def _numpy(tensor: torch.Tensor) -> np.ndarray:
    """NumPy knows no bfloat16."""
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
