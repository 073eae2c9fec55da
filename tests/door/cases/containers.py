"""The same numbers in every container."""

import array
import decimal
import fractions
import tempfile
import types
from collections import namedtuple
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import scipy.sparse
import torch
import xarray
from torch.utils.data import DataLoader, TensorDataset

from tests.door.base import HOLED, WHOLE, X, after, probs, refused, same


def mapped():
    path = Path(tempfile.mkdtemp()) / "x.npy"
    np.save(path, X)
    return np.load(path, mmap_mode="r")


def read_only():
    rows = X.copy()
    rows.setflags(write=False)
    return rows


def inference():
    with torch.inference_mode():
        return torch.tensor(X)


class Rows(np.ndarray):
    """A user's own kind of array."""


class Lazy:
    """Anything that knows how to become an array."""

    def __array__(self, dtype=None, copy=None):
        return X.copy()


Pair = namedtuple("Pair", "a b")
FORMS = {
    "Fortran order": lambda: np.asfortranarray(X),
    "big-endian": lambda: X.astype(">f8"),
    "every other row": lambda: np.repeat(X, 2, 0)[::2],
    "negative strides": lambda: X[::-1, ::-1].copy()[::-1, ::-1],
    "transposed": lambda: X.T.copy().T,
    "broadcast, no stride": lambda: np.lib.stride_tricks.as_strided(X, X.shape, X.strides),
    "read-only": read_only,
    "memory map": mapped,
    "long double": lambda: X.astype(np.longdouble),
    "objects": lambda: X.astype(object),
    "masked array, nothing masked": lambda: np.ma.array(X),
    "subclass of ndarray": lambda: X.view(Rows),
    "__array__": Lazy,
    "memoryview": lambda: memoryview(X.copy()),
    "list of lists": X.tolist,
    "tuple of tuples": lambda: tuple(map(tuple, X.tolist())),
    "list of arrays": lambda: list(X),
    "list of array.array": lambda: [array.array("d", row) for row in X],
    "list of named tuples": lambda: [Pair(*row) for row in X.tolist()],
    "list of tensors": lambda: list(torch.tensor(X)),
    "Decimal cells": lambda: [[decimal.Decimal(str(v)) for v in row] for row in X.tolist()],
    "Fraction cells": lambda: [[fractions.Fraction(v) for v in row] for row in X.tolist()],
    "pandas frame": lambda: pd.DataFrame(X),
    "pandas frame with an index of dates": lambda: pd.DataFrame(
        X, index=pd.date_range("2020", periods=len(X))
    ),
    "pandas nullable": lambda: pd.DataFrame(X).astype("Float64"),
    "pandas sparse": lambda: pd.DataFrame(X).astype(pd.SparseDtype("float")),
    "pandas objects": lambda: pd.DataFrame(X).astype(object),
    "pandas categories of numbers": lambda: pd.DataFrame(X).astype("category"),
    "pandas two levels of columns": lambda: pd.DataFrame(
        X, columns=pd.MultiIndex.from_tuples([("a", 1), ("a", 2)])
    ),
    "polars frame": lambda: pl.DataFrame(X),
    "polars Decimal": lambda: pl.DataFrame(X).cast(pl.Decimal(10, 2)),
    "xarray": lambda: xarray.DataArray(X, dims=("row", "feature")),
    "SciPy sparse matrix": lambda: scipy.sparse.csr_matrix(X),
    "SciPy sparse array": lambda: scipy.sparse.coo_array(X),
    "tensor": lambda: torch.tensor(X),
    "tensor with a gradient": lambda: torch.tensor(X, requires_grad=True) * 1.0,
    "parameter": lambda: torch.nn.Parameter(torch.tensor(X)),
    "tensor of inference mode": inference,
    "transposed tensor": lambda: torch.tensor(X.T.copy()).T,
    "expanded tensor": lambda: torch.tensor(X)[:, None].expand(-1, 1, -1)[:, 0],
    "sparse tensor": lambda: torch.tensor(X).to_sparse(),
    "conjugate bit of a real tensor": lambda: torch.tensor(X).conj(),
    "negative bit": lambda: (torch.tensor(X) * 1j).conj().imag.neg(),
    "in shared memory": lambda: torch.tensor(X).share_memory_(),
}
for form, made in FORMS.items():
    same(f"asked of {form}", lambda made=made: probs(made()), lambda: probs(X))
for form in (
    "Fortran order",
    "negative strides",
    "read-only",
    "pandas nullable",
    "polars frame",
    "tensor with a gradient",
    "SciPy sparse matrix",
    "tensor of inference mode",
    "memory map",
):
    same(f"fitted to {form}", lambda made=FORMS[form]: after(made()), after, 1e-9)

for dtype in (
    "int8",
    "int16",
    ">i4",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    ">f4",
):
    small = WHOLE - WHOLE.min() if dtype.startswith("u") else WHOLE
    same(
        f"fitted to {dtype}",
        lambda dtype=dtype, small=small: after(small.astype(dtype)),
        lambda small=small: after(small.astype(float)),
    )
for dtype in (
    torch.int8,
    torch.uint8,
    torch.uint16,
    torch.int32,
    torch.float16,
    torch.bfloat16,
    torch.float32,
):
    small = WHOLE - WHOLE.min()
    same(
        f"fitted to {dtype}",
        lambda dtype=dtype, small=small: after(torch.tensor(small).to(dtype)),
        lambda small=small: after(small.astype(float)),
    )
same("features of booleans", lambda: after(X > 3), lambda: after((X > 3).astype(float)))
same(
    "pandas frame of ints, floats and booleans",
    lambda: probs(pd.DataFrame({"a": WHOLE[:, 0], "b": X[:, 1] > 3})),
    lambda: probs(np.column_stack([WHOLE[:, 0], X[:, 1] > 3]).astype(float)),
)
same("one row as a pandas series", lambda: probs(pd.DataFrame(X).iloc[3]), lambda: probs(X[3]))
same("one row as a list", lambda: probs(X[3].tolist()), lambda: probs(X[3]))

HOLES = {
    "None": lambda: np.where(np.isnan(HOLED), None, X.astype(object)),
    "pandas NA": lambda: pd.DataFrame(HOLED).astype("Float64").mask(np.isnan(HOLED)),
    "NA among objects": lambda: np.where(np.isnan(HOLED), pd.NA, X.astype(object)),
    "masked array": lambda: np.ma.array(X, mask=np.isnan(HOLED)),
    "masked integers": lambda: np.ma.array(np.nan_to_num(HOLED), mask=np.isnan(HOLED)),
    "polars null": lambda: pl.DataFrame(HOLED).fill_nan(None),
    "lists with None": lambda: [[None if v != v else v for v in row] for row in HOLED.tolist()],
}
for form, made in HOLES.items():
    same(f"missing cells: {form}", lambda made=made: probs(made()), lambda: probs(HOLED))
    same(f"fitted with missing cells: {form}", lambda made=made: after(made()), lambda: after(HOLED))

NO_ARRAYS = {
    "a generator": (lambda: (row for row in X), "got a generator, which can be read once: pass list"),
    "map": (lambda: map(list, X), "got a map, which can be read once"),
    "a dict of columns": (lambda: {"a": X[:, 0], "b": X[:, 1]}, "got a dict: pass its values by name"),
    "a set": (lambda: set(X[:, 0]), "got a set, which has no order"),
    "a class": (lambda: np.ndarray, "got the class ndarray"),
    "a function": (lambda: np.zeros, "got a "),
    "a name of a file": (lambda: "data.csv", "expected numbers, got .*'data.csv'"),
    "bytes": (lambda: b"abc", "expected numbers"),
    "an object": (object, "expected numbers, got object such as"),
    "a namespace": (lambda: types.SimpleNamespace(x=1), "expected numbers, got object such as"),
    "nothing": (lambda: None, r"expected rows of shape \(2,\), got one number"),
    "a polars lazy frame": (
        lambda: pl.LazyFrame(X),
        r"got a LazyFrame, which is not read yet: x.collect\(\)",
    ),
    "a DataLoader": (lambda: DataLoader(TensorDataset(torch.tensor(X))), "got DataLoader: pass it"),
    "a tensor of the device meta": (
        lambda: torch.zeros(3, 2, device="meta"),
        "got a tensor of the device 'meta'",
    ),
    "a nested tensor": (
        lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(1)], layout=torch.jagged),
        "rows of one length",
    ),
    "ragged lists": (lambda: [[1.0], [1.0, 2.0]], "expected numbers in rows of one length"),
    "ragged objects": (lambda: np.array([[1.0], [1.0, 2.0]], dtype=object), "expected numbers, got object"),
    "a structured array": (lambda: np.array([(1.0, 2.0)], dtype="f8,f8"), "expected numbers, got"),
    "complex numbers": (lambda: X * 1j, "expected numbers, got complex128"),
    "a complex tensor": (lambda: torch.tensor(X) * 1j, "expected real numbers, got torch.complex128"),
    "dates": (lambda: np.array([["2020-01-01"] * 2], "M8[D]"), "expected numbers, got datetime64"),
    "time spans": (lambda: np.array([[1, 2]], "m8[s]"), "expected numbers, got timedelta64"),
    "texts": (lambda: [["a", "b"]], "expected numbers, got <U1 such as 'a'"),
    "texts of numbers": (lambda: [["1.5", "2.5"]], "expected numbers, got <U3 such as '1.5'"),
    "a text among numbers": (lambda: [[1.5, "2.5"]], "expected numbers, got .* such as "),
    "a text among objects": (
        lambda: np.array([[1.5, "2.5"]], object),
        "expected numbers, got object such as '2.5'",
    ),
    "a dict among numbers": (lambda: [[1.0, {}]], "expected numbers, got object such as {}"),
    "whole numbers above 2^63": (
        lambda: np.full((3, 2), 2**64 - 1, np.uint64),
        r"expected whole numbers below 2\^63",
    ),
    "a tensor above 2^63": (
        lambda: torch.from_numpy(np.full((3, 2), 2**64 - 1, np.uint64)),
        r"expected whole numbers below 2\^63",
    ),
    "a pandas frame with text": (
        lambda: pd.DataFrame({"a": [1.0], "b": ["u"]}),
        "expected numbers, got text in the column 'b'",
    ),
    "a polars frame with text": (
        lambda: pl.DataFrame({"a": [1.0], "b": ["u"]}),
        "expected numbers, got text in the column 'b'",
    ),
    "a polars frame of categories": (
        lambda: pl.DataFrame({"a": [1.0], "b": ["u"]}, schema={"a": pl.Float64, "b": pl.Categorical}),
        "expected numbers, got text in the column 'b'",
    ),
    "a pandas frame with dates": (
        lambda: pd.DataFrame({"a": [1.0], "b": pd.to_datetime(["2020-01-01"])}),
        "expected numbers, got dates in the column 'b'",
    ),
    "a polars frame with dates": (
        lambda: pl.DataFrame({"a": [1.0], "b": ["2020-01-01"]}).with_columns(pl.col("b").str.to_date()),
        "expected numbers, got dates in the column 'b'",
    ),
    "a polars frame of lists": (
        lambda: pl.DataFrame({"a": [1.0], "b": [[1.0, 2.0]]}),
        "expected numbers, got no numbers in the column 'b'",
    ),
    "two columns of one name": (
        lambda: pd.DataFrame(X, columns=["a", "a"]),
        "expected columns of different names, got 'a' twice",
    ),
    "a pandas index": (lambda: pd.Index(["a", "b"]), "expected numbers"),
}
for form, (made, words) in NO_ARRAYS.items():
    start = (
        ""
        if words.startswith(("expected", r"rows of"))
        else "expected an array, a tensor, a frame or a list, "
    )
    lead = ".*" if words.startswith(("rows of", "got a tensor")) else start
    refused(f"asked of {form}", lambda made=made: probs(made()), f"x: {lead}{words}")
    if form not in ("nothing",):
        refused(f"fitted to {form}", lambda made=made: after(made()), f"x: {lead}{words}")
