"""What `check_normalised` returns: the total of each conditional, and a verdict."""

import math
from dataclasses import dataclass
from html import escape

from ppl_gen.errors import BrokenModel
from ppl_gen.normalisation.conditionals import Total

MANY = 20  # conditionals that are printed although nothing is wrong with them


@dataclass(frozen=True)
class Normalisation:
    """Whether a joint density sums or integrates to one; made by `check_normalised`.

    Attributes:
        name: of the model.
        totals: of each conditional, in the order of the program; ``(factors)`` and ``(length)`` are those of
            pyro.factor and of a program that draws until it stops.
    """

    name: str
    totals: tuple[Total, ...]

    @property
    def ok(self) -> bool | None:
        """Whether nothing was found to sum to something else than one; None if factors leave that open."""
        if self.at_fault:
            return False
        return None if any(t.ok is None and t.site == "(factors)" for t in self.totals) else True

    @property
    def complete(self) -> bool:
        """Whether every conditional could be checked."""
        return all(t.ok is not None for t in self.totals)

    @property
    def at_fault(self) -> list[str]:
        """The variables whose densities do not sum or integrate to one."""
        return [t.site for t in self.totals if t.ok is False]

    @property
    def total(self) -> float:
        """What the joint sums to, if each conditional's total is the same for all values of its parents."""
        known = [t.value for t in self.totals if not math.isnan(t.value)]
        wrong = [t.value for t in self.totals if t.ok is False]
        return math.prod(wrong) if wrong else math.prod(known)

    @property
    def error(self) -> float:
        """Of ``total``: the relative errors of the conditionals added up."""
        return self.total * math.fsum(t.error for t in self.totals if not math.isnan(t.error))

    def require(self) -> None:
        """Raise a BrokenModel that names the first variable at fault, if there is one."""
        if self.at_fault:
            raise BrokenModel(str(self))

    @property
    def verdict(self) -> str:
        """One sentence."""
        if self.ok and self.complete:
            return "its density sums to one"
        if not self.at_fault:
            open_ = ", ".join(t.site for t in self.totals if t.ok is None)
            return f"nothing was found against its density; not known of {open_}"
        return f"its density does not sum to one: look at {', '.join(self.at_fault)}"

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.verdict}"]
        wide = max((len(t.site) for t in self.totals), default=0)
        shown = [t for t in self.totals if t.ok is not True or t in self.totals[:MANY]]
        for t in shown:
            mark = {True: " ", False: "!", None: "?"}[t.ok]
            number = "" if math.isnan(t.value) else f"{t.value:.4g} ± {t.error:.1g}, "
            lines.append(f"  {mark} {t.site:{wide}}  {number}{t.how}{f': {t.note}' if t.note else ''}")
        if len(shown) < len(self.totals):
            lines.append(f"    and {len(self.totals) - len(shown)} more that sum to one")
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(t.site)}</td><td>{t.value:.4g}</td><td>{t.error:.1g}</td><td>{t.how}</td>"
            f"<td style='text-align:left'>{escape(t.note)}</td></tr>"
            for t in self.totals
        )
        head = "<tr><th>variable</th><th>total</th><th>error</th><th>how</th><th></th></tr>"
        return f"<p><b>{escape(self.name)}</b>: {escape(self.verdict)}</p><table>{head}{rows}</table>"
