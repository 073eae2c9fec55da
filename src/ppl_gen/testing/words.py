"""What Python, torch or Pyro said while a program ran, in words about the model."""

import re
from typing import TYPE_CHECKING, Any, NoReturn

from torch import Tensor

from ppl_gen.places import of_error
from ppl_gen.testing.watching import Watch

if TYPE_CHECKING:
    from ppl_gen.testing.case import Case

SAID = (  # what an error says, the mistake in words, and how to mend it
    (
        r"'\w+' object is not callable|object has no attribute '(to_event|expand_by|mask)'",
        "draws from torch.distributions, which Pyro cannot sample ({said})",
        "import pyro.distributions as dist, and draw from dist.Normal(…) and the like",
    ),
    (
        r"tensors used as indices must be|only integer tensors of a single element",
        "uses a draw as an index that is no whole number ({said})",
        "draw it from dist.Categorical, or index with z.long()",
    ),
    (
        r"NoneType",
        "uses the result of something that returns None ({said})",
        "end the function with return …",
    ),
    (
        r"Can't call numpy\(\) on Tensor that requires grad",
        "takes a draw out of torch, so no gradient passes through it ({said})",
        "compute with torch in the place of NumPy",
    ),
    (
        r"one of the variables needed for gradient|a leaf Variable that requires grad.*in-place",
        "changes a tensor in place that gradients need ({said})",
        "compute a new tensor instead: x = x + 1, not x += 1",
    ),
)


def explain(c: "Case", error: Exception, part: str, watch: Watch | None = None, rows: int = 0) -> NoReturn:
    """Refuse the model because of an ``error`` that ended a run of ``part`` with so many ``rows``."""
    text, where = str(error), f"{part}()" + " of one row" * (rows == 1)
    said = f"{type(error).__name__}: {first_line(error)}"
    drawn = watch.drawn if watch else []
    sampled = [name for name in drawn if name in c.read(part)]
    for name in [*drawn, *re.findall(r"sites? named '(\w+)'", text)]:
        if name in c.joint.given:
            draws_input(c, part, name)
    if isinstance(error, NotImplementedError) and "does not write its joint" in text:
        c.refuse("there is no model() that writes the joint", "define model()", part, cause=error)
    if shape := re.search(r"inside plate\('(\w+)'\) at site (\w+) dim (-\d+), (\d+) vs (\d+)", text):
        plate, site, _, size, came = shape.groups()
        c.refuse(
            f"{where} draws {site!r} in plate {plate!r} of {size} with a batch of {came}: .to_event is "
            f"forgotten",
            "give a row's cells to one draw with .to_event(1); batch dimensions belong to plates",
            part,
            site,
            cause=error,
        )
    if twice := re.search(r"[Mm]ultiple \w+ sites named '(\w+)'", text):
        _twice(c, error, part, twice[1])
    if "to satisfy the constraint" in text:
        found = re.search(r"parameter (\w+) .*?of distribution (\w+)", text, re.S)
        what = f"{found[1]} of {found[2]}" if found else "a parameter of a distribution"
        if "nan" in text.partition("found invalid values")[2]:
            c.refuse(
                f"{where} gives a distribution a parameter that is not a number (NaN) in some cell: {what}",
                "look for 0 / 0, the log or root of a negative number, or an exp that overflows",
                part,
                cause=error,
            )
        c.refuse(
            f"{where} gives a distribution a parameter out of its range: {what}",
            "pass it through exp or softplus, or make it a PyroParam with a constraint",
            part,
            cause=error,
        )
    for pattern, mistake, mend in SAID:
        if re.search(pattern, said):
            c.refuse(f"{where} {mistake.format(said=said)}", mend, part, cause=error)
    if re.search(r"shape|size|dimension|broadcast", text):
        said = f"shapes that do not fit ({said})"
    mend = f"run it by hand on {', '.join(f'{k}={_size(v)}' for k, v in c.values.items())}"
    if rows == 1:
        mend = "keep the dimension of the rows when there is one row: no .squeeze() without a dimension"
    last = f"after drawing {sampled[-1]!r}" if sampled else "before its first draw"
    c.refuse(f"{where} stopped {last}: {said}", mend, part, cause=error)


def _twice(c: "Case", error: Exception, part: str, name: str) -> NoReturn:
    first, again = c.places.get((part, name)), of_error(error)
    if name == "data":
        c.refuse(
            f'{part}() opens the plate "data" twice',
            f'open it once and draw all that rows have in it; or keep it, rows = pyro.plate("data", '
            f"{rows_word(c)}), and write `with rows:` twice",
            part,
            cause=error,
        )
    if first and first == again:
        c.refuse(
            f"{part}() draws {name!r} in a loop, under one name",
            f'draw all rows at once: `with pyro.plate("data", {rows_word(c)}):` in the place of the loop',
            part,
            name,
            cause=error,
        )
    mend = f"name each variable once{f'; the first {name!r} is drawn in {first}' if first else ''}"
    c.refuse(f"{part}() draws {name!r} twice", mend, part, name, cause=error)


def draws_input(c: "Case", part: str, name: str) -> NoReturn:
    """Refuse a program that draws what the joint is given."""
    c.refuse(
        f"{part}() draws {name!r}, which the joint is given: it stands right of the bars only",
        f"leave the draw of {name!r} out; or generate it, with a factor p({name}) in the line",
        part,
        name,
    )


def unscored(c: "Case", error: Exception, part: str, name: str, fn: Any) -> NoReturn:
    """Turn what went wrong in ``log_prob`` into words about the model."""
    c.refuse(
        f"the density of {name!r} in {part}() cannot be computed at a given value: "
        f"{type(fn).__name__}.log_prob says {type(error).__name__}: {first_line(error)}",
        "give the distribution a log_prob (a flow: an inverse); or draw what has no density with "
        "pyro.deterministic from variables that have one",
        part,
        name,
        cause=error,
    )


def rows_word(c: "Case") -> str:
    """How the size of the plate of the rows is written."""
    return f"len({min(c.joint.given)})" if c.joint.given else "n"


def first_line(error: BaseException) -> str:
    """What an error says, in short."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _size(value: Any) -> str:
    return f"tensor{tuple(value.shape)}" if isinstance(value, Tensor) else str(value)
