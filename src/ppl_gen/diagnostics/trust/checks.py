"""What a diagnosis says: checks with their evidence, and the faults that they may name."""

from dataclasses import dataclass
from typing import Any

# Name of a fault -> what it means. Causes come before symptoms: the first one found is the one to mend.
FAULTS: dict[str, str] = {
    # the joint is not the one that was meant
    "wrong plate size": "the model counts its rows as if there were more or fewer of them",
    "scaled density": "the model weighs some of its factors, so that its density is not the joint's",
    "prior counted twice": "a prior's density enters more than once",
    "prior left out": "the posterior is as if there were no prior",
    "factor in the model": "the model holds a factor or an observation of its own beside the data",
    "dropped Jacobian": "a density was carried to other coordinates without the Jacobian of the map",
    "unnormalised density": "a density does not integrate to one, so no evidence or bound means anything",
    "outside the support": "draws of the guide lie where the joint has no density",
    # the climb did not arrive
    "learning rate too high": "the steps are so long that they keep falling back",
    "too few steps": "the bound was still rising when the fit stopped",
    "learning rate too low": "the steps are so short that the guide hardly moved",
    # an update or an objective counts wrongly
    "wrong evidence": "the evidence that the model claims is not that of its own densities",
    "unscaled minibatch": "a minibatch counted for itself, and not for all rows",
    "rows counted wrongly": "the likelihood enters with another number of rows than there are",
    "wrong update": "the update claims to be exact, and its density is not the joint's",
    # the shape of the posterior
    "funnel": "the scale of a variable is itself hidden, and the two depend on one another",
    "singular component": "a component shrank to a point, where the likelihood has no bound",
    "stuck in a worse mode": "another start comes to a better place",
    "one of several modes": "the posterior has another mode, which the draws never visit",
    "empty component": "a component holds no rows",
    "collapsed code": "the codes of the rows say nothing of the rows",
    "divergences": "the sampler could not follow the density everywhere",
    "label switching": "the chains name the components of a mixture differently",
    "chains disagree": "the chains have not come to one distribution",
    "too few draws": "the chains are too short for their averages",
    # the guide
    "correlations ignored": "the guide takes parameters as independent that are not",
    "means off": "the guide lies beside the posterior, near enough to be weighted",
    "sds too small": "the guide is narrower than the posterior",
    "sds too large": "the guide is wider than the posterior",
    "guide too far": "the guide's draws hardly come near the posterior",
    "weights undecided": "the draws leave open whether their weights can be trusted",
    # the model and these data
    "prior in conflict": "the data put a parameter where its prior does not expect it",
    "variance for sd": "the rows scatter as if a variance stood where an sd belongs, or reversely",
    "wrong scale": "the rows scatter more or less than the model expects",
    "mean off along an input": "the rows' mean follows an input otherwise than the model's",
    "uneven scatter": "the rows' scatter follows an input otherwise than the model's",
    "overdispersed": "counts scatter more than the model's family allows",
    "too many zeros": "there are more zeros than the model expects",
    "too few zeros": "there are fewer zeros than the model expects",
    "wrong location": "the rows lie elsewhere than the model expects",
    "dependent rows": "neighbouring rows are alike, and the model takes rows as independent",
    "dependent columns": "columns go together more than the model expects",
    "heavy tails": "a few rows lie much farther out than the model expects",
    "light tails": "no row lies as far out as the model expects, as of rows in two heaps",
    "skewed": "the rows are lopsided, and the model is not",
}
RANK = {name: place for place, name in enumerate(FAULTS)}
MARKS = {"ok": "✓", "note": "·", "caution": "!", "fault": "✗"}
MODEL = set(
    list(FAULTS)[list(FAULTS).index("prior in conflict") :]
)  # the posterior is right, the model is not


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        name: what it was. state: "ok", "note", "caution" or "fault".
        value, error, limit: the number, its Monte-Carlo error and what it is held against; nan where none is.
        shown: these in words. meaning: what that says.
        fault: one of FAULTS, if it is one. where: the variable. fix: what to do next.
        later: whether another fault costs more.
    """

    name: str
    state: str
    shown: str = ""
    meaning: str = ""
    value: float = float("nan")
    error: float = float("nan")
    limit: float = float("nan")
    fault: str = ""
    where: str = ""
    fix: str = ""
    later: bool = False

    def __str__(self) -> str:
        text = f"{MARKS[self.state]} {self.name}: {self.shown}"
        named = (
            f"{self.fault}{f' ({self.where})' if self.where else ''}: {self.meaning}" if self.fault else ""
        )
        rest = [part for part in (named or self.meaning, self.fix) if part]
        *said, last = [text, *(part[0].upper() + part[1:] for part in rest)]
        return " ".join([*map(sentence, said), last])


def sentence(text: str) -> str:
    """The text with one mark at its end.

    >>> sentence("take more steps"), sentence("are the units right?")
    ('take more steps.', 'are the units right?')
    """
    return text if text.endswith((".", "?", "!")) else f"{text}."


def fault(name: str, check: str, shown: str, fix: str, **more: Any) -> Check:
    """A check that found the fault ``name``."""
    more.setdefault("meaning", FAULTS[name])
    return Check(check, more.pop("state", "fault"), shown, fault=name, fix=fix, **more)


def ranked(checks: list[Check]) -> list[Check]:
    """The faults, then the cautions, then what costs less than one of them; of each, causes first."""
    found = [check for check in checks if check.fault]
    return sorted(found, key=lambda check: (check.later, check.state != "fault", RANK[check.fault]))
