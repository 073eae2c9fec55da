"""Four classics that scikit-learn ships: nothing is downloaded, and rows keep the order of the files."""

from typing import Any

import torch

from ppl_gen.data.dataset import Dataset

__all__ = ["breast_cancer", "digits", "iris", "wine"]


def wine() -> Dataset:
    """Wines of three cultivars of one Italian region: 178 rows, 13 chemical measurements, 3 classes.

    Source: Forina et al., PARVUS (1988); UCI, https://doi.org/10.24432/C5PC7J.

    Example:
        >>> wine()
        wine: 178 rows × 13 features, 3 classes (59, 71, 48)
    """
    from sklearn.datasets import load_wine

    return _dataset("wine", load_wine(), "Forina et al., PARVUS (1988); UCI, doi:10.24432/C5PC7J")


def iris() -> Dataset:
    """Irises of three species: 150 rows, 4 lengths and widths in cm, 3 classes.

    scikit-learn's copy is the one of R; two rows differ from those of UCI, which has typing errors.

    Source: Fisher, The use of multiple measurements in taxonomic problems (1936).

    Example:
        >>> iris()
        iris: 150 rows × 4 features, 3 classes (50, 50, 50)
    """
    from sklearn.datasets import load_iris

    source = "Fisher, Annals of Eugenics 7:179 (1936), doi:10.1111/j.1469-1809.1936.tb02137.x"
    return _dataset("iris", load_iris(), source)


def breast_cancer() -> Dataset:
    """Cell nuclei of breast masses, malignant (0) or benign (1): 569 rows, 30 measurements, 2 classes.

    The columns are the mean, standard error and worst value of ten measurements: they are strongly dependent.

    Source: Wolberg, Mangasarian, Street & Street, UCI (1993), https://doi.org/10.24432/C5DW2B.

    Example:
        >>> breast_cancer()
        breast cancer: 569 rows × 30 features, 2 classes (212, 357)
    """
    from sklearn.datasets import load_breast_cancer

    source = (
        "Wolberg, Mangasarian, Street & Street, Breast Cancer Wisconsin (Diagnostic) (1993); "
        "UCI, doi:10.24432/C5DW2B"
    )
    return _dataset("breast cancer", load_breast_cancer(), source)


def digits() -> Dataset:
    """Handwritten digits of 8 × 8 pixels with 17 levels, 0 to 16: 1797 rows, 64 features, 10 classes.

    Column ``pixel_r_c`` is row r from the top, column c from the left: ``x.view(-1, 8, 8)`` are the pictures.

    Source: Alpaydin & Kaynak, UCI (1998), https://doi.org/10.24432/C50P49; the test part of it.

    Example:
        >>> digits()
        digits: 1797 rows × 64 features, 10 classes (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)
        >>> digits().x.unique().tolist() == list(range(17))
        True
    """
    from sklearn.datasets import load_digits

    source = "Alpaydin & Kaynak, Optical Recognition of Handwritten Digits (1998); UCI, doi:10.24432/C50P49"
    return _dataset("digits", load_digits(), source)


def _dataset(name: str, bunch: Any, source: str) -> Dataset:
    return Dataset(
        name=name,
        x=torch.tensor(bunch.data, dtype=torch.float64),
        y=torch.tensor(bunch.target, dtype=torch.int64),
        classes=tuple(map(str, bunch.target_names)),
        features=tuple(map(str, bunch.feature_names)),
        source=source,
    )
