"""Where in the reader's own source a statement stands: ``file.py:12``, or the line of a cell."""

import inspect
import linecache
import re
import sys
import traceback
from pathlib import Path
from typing import Any, NamedTuple

import pyro
import torch

_OURS = str(Path(__file__).parent)
_LIBRARIES = (str(Path(pyro.__file__).parent), str(Path(torch.__file__).parent), "<")


class Place(NamedTuple):
    """A line of a file."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}"

    @property
    def text(self) -> str:
        """What stands there."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def quoted(self) -> str:
        """The place and what stands there; a notebook's cell has no name that a reader knows."""
        cell = re.search(r"ipykernel_\d+|ipython-input", self.file)
        return f"{f'line {self.line} of the cell' if cell else self}{f': {self.text}' if self.text else ''}"


def own(file: str) -> bool:
    """Whether a file is the reader's, or one of the models that are there to be read."""
    if file.startswith(_OURS):
        return file.startswith(str(Path(_OURS, "models")))
    inside = file.startswith(_LIBRARIES) and not file.startswith("<ipython-input")
    return not inside and not file.endswith("contextlib.py")


def here(below: Any = None) -> Place | None:
    """The innermost line of the reader's that is running; none further out than the function ``below``."""
    frame: Any = sys._getframe(1)
    while frame is not None and not own(frame.f_code.co_filename):
        frame = None if below is not None and frame.f_code is below.__code__ else frame.f_back
    return None if frame is None else Place(frame.f_code.co_filename, frame.f_lineno)


def of_error(error: BaseException) -> Place | None:
    """The innermost line of the reader's that an error came through."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if own(f.filename)]
    return Place(frames[-1].filename, frames[-1].lineno or 0) if frames else None


def of_attribute(cls: type, name: str) -> Place | None:
    """Where a class, or one that it inherits from, defines a method or writes ``name = …``."""
    owner = next((k for k in cls.__mro__ if name in vars(k)), None)
    if owner is None:
        return None
    code = getattr(inspect.unwrap(vars(owner)[name]), "__code__", None)
    if code is not None:
        place = Place(code.co_filename, code.co_firstlineno)
        return place if own(place.file) else None
    try:
        lines, first = inspect.getsourcelines(owner)
        file = inspect.getsourcefile(owner) or "<"
    except (OSError, TypeError):  # made in a shell: there is no file
        return None
    for number, line in enumerate(lines):
        if own(file) and re.match(rf"\s*{name}\s*[:=]", line):
            return Place(file, first + number)
    return None
