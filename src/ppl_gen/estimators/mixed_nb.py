"""Naive Bayes for tables, as a scikit-learn estimator."""

import re
from collections.abc import Mapping
from contextlib import suppress
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import torch
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.validation import assert_all_finite, validate_data

from ppl_gen.arrays import refuse_extremes, refuse_nonfinite
from ppl_gen.distributions import Categorical, Moments
from ppl_gen.errors import DataError
from ppl_gen.estimators.base import Classifier, naming
from ppl_gen.estimators.class_labels import chosen_prior, encode, labels
from ppl_gen.estimators.kept import lean
from ppl_gen.estimators.private import Interval, StrOptions
from ppl_gen.fit import fit
from ppl_gen.frames import is_frame, names_in
from ppl_gen.inference import Exact
from ppl_gen.models import MixedNaiveBayes
from ppl_gen.posterior import Posterior
from ppl_gen.tables import Encoder, as_pandas, columns_of


class MixedNB(Classifier):
    """Naive Bayes with a family for each column of a table, over `MixedNaiveBayes`.

    scikit-learn has no twin; signature and answers are those of `GaussianNB`. Families are read off the
    columns as by `ppl_gen.columns_of`: two values Bernoulli, text and categories categorical, small counts
    Poisson, other numbers Gaussian. Data frames of pandas and polars, and arrays of objects, may hold text;
    missing cells (NaN, None, NA) are not observed, in ``fit`` and in ``predict``. Answers are the posterior
    predictive: all parameters but the class probabilities, which are the data's, are integrated out. Priors
    are in units of the data: of a Gaussian column, loc its mean, strength 0.01, shape 1, rate 0.01 of its
    variance; of counts, shape ``alpha`` and a rate that gives the column's mean; of categories and zeros and
    ones, ``alpha`` each.

    Args:
        columns: "auto", or column name -> "gaussian", "bernoulli", "poisson" or "categorical" for some of
            them; columns of an array are called x0, x1, ….
        alpha: prior rows of every category, and of a mean count.
        priors: class probabilities (n_classes,), instead of the frequencies in the data.

    Attributes:
        columns_: column name -> family. encoder_: what `columns_of` found.
        class_count_: rows, or weights, of each class. class_prior_: probabilities of the classes.
        classes_: the labels. posterior_: a `ppl_gen.Posterior`, for `ask` and `to_arviz`.
        n_features_in_, feature_names_in_: of the rows.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"age": [31.5, 52.0, 47.1, 60.3], "town": ["Ulm", "Kiel", None, "Kiel"]})
    >>> nb = MixedNB().fit(table, ["well", "ill", "well", "ill"])
    >>> nb.predict(pd.DataFrame({"age": [None], "town": ["Kiel"]}))
    array(['ill'], dtype='<U4')
    """

    most_weight = 1e10  # more leaves the predictive densities of counts, differences of log Gamma, no digits
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "columns": [StrOptions({"auto"}), Mapping],
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "priors": ["array-like", None],
    }

    def __init__(self, *, columns: Any = "auto", alpha: float = 1.0, priors: Any = None):
        self.columns = columns
        self.alpha = alpha
        self.priors = priors

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Learn from rows (n_samples, n_features) and their classes (n_samples,).

        Args:
            X: the rows, an array or a data frame. y: their classes, of any kind.
            sample_weight: how often each row counts (n_samples,); once by default.
        """
        self._validate_params()
        X, y = self._rows(X, y, reset=True)
        weights = self._weights(sample_weight, X)
        self.classes_ = labels(y)
        codes, classes = encode(y, self.classes_), len(self.classes_)
        chosen = chosen_prior(self.priors, classes)
        self.columns_ = dict(self.encoder_.columns)
        prior = MixedNaiveBayes(classes, self.columns_, priors=self._units(X, weights))
        self._found = lean(fit(prior, Exact(weights=weights), x=X, y=codes))
        self.class_count_ = np.bincount(codes, weights, minlength=classes).astype(np.float64)
        frequencies = self.class_count_ / self.class_count_.sum()
        self.class_prior_ = frequencies if chosen is None else chosen
        return self

    def sample(self, n_samples: int = 1, y: Any = None, random_state: Any = None) -> tuple[Any, np.ndarray]:
        """As of every classifier; the rows are a data frame if ``fit`` had one, in its words."""
        rows, classes = super().sample(n_samples, y, random_state)
        if self._table is None:
            return rows, classes
        frame = self.encoder_.decode(rows)
        if self._table is np.ndarray:
            return frame.to_numpy(dtype=object), classes
        pandas = hasattr(self._table, "iloc")
        return (frame if pandas else self._table(frame.to_dict("list"))), classes

    def _units(self, X: np.ndarray, weights: Any) -> dict[str, dict[str, Any]]:
        """The priors, in units of the columns."""
        worth = np.ones(len(X)) if weights is None else weights
        loc, spread = Moments.of(torch.tensor(X), torch.tensor(worth)[:, None], 1).pooled()
        kinds = ["categorical" if isinstance(k, Categorical) else k for k in self.columns_.values()]

        def of(values: torch.Tensor, kind: str) -> torch.Tensor:
            found = values[[k == kind for k in kinds]]
            return torch.where(found > 0, found, 1.0)

        settings: dict[str, dict[str, Any]] = {
            "gaussian": {
                "loc": loc[[k == "gaussian" for k in kinds]],
                "rate": 0.01 * of(spread, "gaussian"),
            },
            "poisson": {"shape": self.alpha, "rate": self.alpha / of(loc, "poisson")},
            "bernoulli": {"ones": self.alpha, "zeros": self.alpha},
            "categorical": {"pseudocount": self.alpha},
        }
        return {kind: settings[kind] for kind in dict.fromkeys(kinds)}

    def _rows(self, X: Any, y: Any = "no_validation", *, reset: bool = False, **options: Any) -> Any:
        table, labelled = _table_of(X), not isinstance(y, str)
        if table is None:
            found = super()._rows(X, y, reset=reset, dtype=np.float64, **options)
            X, y = found if labelled else (found, y)
            frame = _frame(X)
        else:  # which may hold text
            with naming("X"):
                if table is not np.ndarray:
                    names_in("X", X)
                frame = _frame(X) if table is np.ndarray else as_pandas(X)
                named = frame.to_numpy() if table is np.ndarray else frame
                validate_data(self, named, reset=reset, skip_check_array=True)
            if labelled:
                y = column_or_1d(y, warn=True)
                assert_all_finite(y, input_name="y")
                check_consistent_length(frame, y)
        if reset:
            self._table, self._names = table, tuple(frame.columns)
            self.encoder_ = self._families(frame)
        elif set(frame.columns) != set(self._names):  # a frame after an array, or the reverse: by their order
            frame = frame.set_axis(list(self._names), axis=1)
        with naming("X"):
            rows = self.encoder_.encode(frame).numpy()
        for (name, kind), column in zip(self.encoder_.columns.items(), rows.T, strict=True):
            cells, place = torch.tensor(np.where(np.isnan(column), 0.0, column)), f"X[{name!r}]"
            refuse_nonfinite(place, cells, ": leave the cell empty (NaN)")
            refuse_extremes(place, cells, small=reset and kind == "gaussian")
        return (rows, y) if labelled else rows

    def _families(self, frame: Any) -> Encoder:
        own = {} if isinstance(self.columns, str) else self.columns
        try:
            return columns_of(frame, **own)
        except DataError as error:
            said = re.sub(r"columns_of\(frame, \*\*(\{.*\})\)", r"columns=\1", str(error))
            raise DataError(f"X, columns: {said}") from None

    @property
    def posterior_(self) -> Posterior:
        """The joint's posterior."""
        return self._found


def _table_of(X: Any) -> type | None:
    """The kind of what holds columns of their own types: a data frame's, or of an array or list with text."""
    if is_frame(X):
        return type(X)
    if isinstance(X, list | tuple):
        with suppress(ValueError, TypeError, RuntimeError):  # rows of several lengths: refused elsewhere
            X = np.array(X, dtype=object)
    text = isinstance(X, np.ndarray) and X.ndim == 2 and X.dtype.kind in "OUST"
    return np.ndarray if text and any(isinstance(cell, str | bytes) for cell in X.flat) else None


def _frame(X: Any) -> Any:
    """Rows without names as a data frame: its columns are x0, x1, …, each of its own type."""
    import pandas as pd

    cells = X if isinstance(X, np.ndarray) else np.array(X, dtype=object)
    frame = pd.DataFrame(cells, columns=[f"x{j}" for j in range(cells.shape[1])])
    return frame.infer_objects() if cells.dtype == object else frame
