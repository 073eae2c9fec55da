"""Who is ahead where, as a sentence."""

from collections.abc import Sequence
from itertools import groupby


def lead(score: str, sizes: Sequence[int], ahead: Sequence[str]) -> str:
    """A sentence on who is ahead at which sizes; "" in ``ahead`` means that nobody is.

    >>> sizes, lr = (8, 16, 32, 64), "logistic regression"
    >>> lead("error", sizes, ("", "", lr, lr))
    'In error, logistic regression is ahead from 32 rows on; with fewer it is too close to call'
    >>> lead("error", sizes, ("naive Bayes", "", lr, lr))
    'In error, naive Bayes is ahead at 8 rows, logistic regression from 32 rows on; in between it is ...'
    >>> lead("log loss", sizes, ("", "", "", ""))
    'In log loss, it is too close to call at every size'
    """
    runs = [(name, [i for i, _ in run]) for name, run in groupby(enumerate(ahead), lambda pair: pair[1])]
    places = {
        name: " and ".join(place(sizes, run[0], run[-1]) for leader, run in runs if leader == name)
        for name in dict.fromkeys(filter(None, ahead))
    }
    if not places:
        return f"In {score}, it is too close to call at every size"
    said = [f"{name}{'' if i else ' is ahead'} {where}" for i, (name, where) in enumerate(places.items())]
    level = ["with fewer" if not i else "with more" if i == len(runs) - 1 else "in between"
             for i, (name, _) in enumerate(runs) if not name]  # fmt: skip
    where = level[0] if len(set(level)) == 1 else "elsewhere"
    return f"In {score}, {', '.join(said)}" + (f"; {where} it is too close to call" if level else "")


def place(sizes: Sequence[int], first: int, last: int) -> str:
    """Where a run of sizes lies.

    >>> [place((8, 16, 32), *run) for run in ((0, 2), (0, 1), (1, 1), (1, 2))]
    ['at every size', 'from 8 to 16 rows', 'at 16 rows', 'from 16 rows on']
    """
    if (first, last) == (0, len(sizes) - 1):
        return "at every size"
    if first == last:
        return f"at {sizes[first]:,} rows"
    if last == len(sizes) - 1:
        return f"from {sizes[first]:,} rows on"
    return f"from {sizes[first]:,} to {sizes[last]:,} rows"
