"""Numbers and names as text."""

from typing import Any

from torch import Tensor

from ppl_gen.laboratory.crossing import half_width


def number(value: Any, digits: int) -> str:
    """With a true minus sign, and thousands apart."""
    return f"{float(value):,.{digits}f}".replace("-", "−")


def percent(share: Any) -> str:
    """A share in per cent, not broken over lines."""
    return f"{100 * float(share):.1f}\u00a0%"


def average(values: Tensor) -> str:
    """The mean over rows, with its standard error."""
    return f"{number(values.mean(), 1)} ± {number(values.std() / len(values) ** 0.5, 1)}"


def interval(values: Tensor) -> str:
    """The mean over repeats, with its 95 % interval."""
    return f"{number(values.mean(), 3)} ± {number(float(half_width(values)), 3)}"


def short(name: str) -> str:
    """The first words of a long name."""
    return name.split("/")[0].replace("_", " ")


def cultivar(name: str) -> str:
    """What the classes of the wines are.

    >>> cultivar("class_2")
    'cultivar 2'
    """
    return short(name).replace("class", "cultivar")
