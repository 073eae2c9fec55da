"""A table's own words on the command line: the columns of x, the column of y and its classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from ppl_gen.checks import did_you_mean
from ppl_gen.comparison.cells import data_row
from ppl_gen.errors import DataError
from ppl_gen.posterior import Posterior
from ppl_gen.tables import Encoder

BOOLEANS = {"False": False, "True": True}  # as tables write them


@dataclass(frozen=True)
class Words:
    """What a posterior calls the columns and classes of its fit, for texts that ask it and answers in text.

    Attributes:
        encoder: of the columns of x; None of an array, whose columns have no names.
        target: the column of y, by name, or of an array by number; "" if nobody told.
        classes: what the codes 0, 1, … of y stand for, numbers as such; empty where y is a number.

    >>> Words(target="state", classes=("ill", "well")).codes(["well", None])
    [1.0, nan]
    """

    encoder: Encoder | None = None
    target: str = ""
    classes: tuple[Any, ...] = ()

    @classmethod
    def of(cls, posterior: Posterior) -> Self:
        """The words that a posterior keeps."""
        classes = tuple(_natural(name) for name in posterior.classes.get("y", ()))
        return cls(posterior.encoder, posterior.columns.get("y", ("",))[0], classes)

    def codes(self, values: Sequence[Any]) -> list[float]:
        """Classes as codes, NaN where one is missing; numbers stay as they are where y is a number.

        Raises:
            DataError: a class that the posterior was not fitted to, or a text where a number belongs.
        """
        known = {str(value): float(code) for code, value in enumerate(self.classes)}
        found = []
        for row, value in enumerate(values):
            word = _word(value)
            if word is None:
                found.append(np.nan)
            elif self.classes and word in known:
                found.append(known[word])
            elif self.classes:
                raise DataError(
                    f"{self.target or 'y'}: expected one of {', '.join(known)}, got {word!r}"
                    f"{data_row(row) * (len(values) > 1)}.{did_you_mean(word, known)}"
                )
            else:
                try:
                    found.append(float(word))
                except ValueError:
                    where = data_row(row) * (len(values) > 1)
                    raise DataError(f"{self.target or 'y'}: expected numbers, got {word!r}{where}") from None
        return found

    def words(self, codes: Sequence[float]) -> list[Any]:
        """Codes of y as classes; numbers as they are."""
        named = dict(enumerate(self.classes))
        return [named.get(int(code), int(code)) if named else code for code in codes]


def _word(value: Any) -> str | None:
    """A cell as the table writes it; None if it is missing. 1.0 and 1 are the same."""
    if value is None or value != value:
        return None
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def _natural(text: str) -> Any:
    """A number or a truth value that is written as Python writes it; else the text."""
    if text in BOOLEANS:
        return BOOLEANS[text]
    for kind in (int, float):
        try:
            if str(kind(text)) == text:
                return kind(text)
        except ValueError:
            continue
    return text
