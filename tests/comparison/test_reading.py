"""Files as they come: separators, marks, gaps, and refusals that say what is wrong with them."""

import builtins

import pandas as pd
import pytest

from ppl_gen.comparison.reading import read_table
from ppl_gen.errors import DataError


def read(tmp_path, content, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_table(path)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_marks(tmp_path, separator, encoding):
    text = "größe;kind\n 1,5 ; a\n2,5;b \n".replace(";", "§")
    text = text.replace(",", "." if separator == "," else ",").replace("§", separator)
    frame, notes = read(tmp_path, text.encode(encoding))
    assert list(frame.columns) == ["größe", "kind"]
    assert frame["kind"].tolist() == ["a", "b"]  # spaces around a cell do not count
    assert bool(notes) == (separator != ",")


def test_windows_text_is_read_and_said(tmp_path):
    frame, notes = read(tmp_path, "größe,b\n1,2\n".encode("cp1252"))
    assert list(frame.columns) == ["größe", "b"]
    assert any("Windows-1252" in note for note in notes)


def test_missing_cells_are_none(tmp_path):
    frame, _ = read(tmp_path, "a,b\nNA,\nnan,?\n null ,NaN\nx,n/a\n")
    assert frame["a"].tolist() == [None, None, None, "x"]
    assert frame["b"].isna().all()
    assert frame.attrs["gaps"] == {
        "a": {"NA": 1, "nan": 1, "null": 1},
        "b": {"": 1, "?": 1, "NaN": 1, "n/a": 1},
    }


def test_quoted_cells_and_blank_lines(tmp_path):
    frame, _ = read(tmp_path, 'a,b\n"one, two","line\nbreak"\n\n3,4\n')
    assert frame.to_numpy().tolist() == [["one, two", "line\nbreak"], ["3", "4"]]


def test_names_are_made_distinct_and_said(tmp_path):
    frame, notes = read(tmp_path, ",a,a,a\n1,2,3,4\n5,6,7,8\n")
    assert list(frame.columns) == ["column 1", "a", "a (2)", "a (3)"]
    assert len(notes) == 3


REFUSALS = {
    "empty": (b"", "the file is empty"),
    "blank": (b" \n\n", "the file is empty"),
    "names only": (b"a,b\n", "expected rows below the column names, got none"),
    "one column": (b"a\n1\n2\n", "expected at least two columns, .* got one, 'a'"),
    "long row": (b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells, the first line 2"),
    "short row": (b"a,b\n1,2\n1\n", "line 3 has 1 cells, the first line 2"),
    "open quote": (b'a,b\n1,"2\n3,4\n', "malformed: unexpected end of data"),
    "picture": (b"\x89PNG\r\n\x1a\n\x00\x00", "expected a CSV or Parquet file, got bytes that are no text"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_refusals(tmp_path, case):
    content, message = REFUSALS[case]
    with pytest.raises(DataError, match=message):
        read(tmp_path, content)


def test_no_such_file_and_a_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(DataError, match="expected a CSV or Parquet file, got a folder"):
        read_table(tmp_path)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def lacking(name, *rest, **more):
        if name == "pyarrow":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", lacking)
    with pytest.raises(DataError, match=r"needs pyarrow; install it with: pip install 'ppl-gen\[parquet\]'"):
        read(tmp_path, b"PAR1", "t.parquet")


def test_parquet_keeps_its_types(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "t.parquet"
    frame = pd.DataFrame({"a": [1.5, None], "b": ["u", "v"], "c": pd.to_datetime(["2020-01-01", None])})
    frame.to_parquet(path)
    found, _ = read_table(path)
    assert found.dtypes.astype(str).tolist() == frame.dtypes.astype(str).tolist()
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        read_table(path)
