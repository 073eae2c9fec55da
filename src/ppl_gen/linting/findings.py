"""What `lint` returns: a list of findings, each with a place and a fix."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Literal, get_args

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)


@dataclass(frozen=True)
class Finding:
    """One mistake.

    Attributes:
        code: the mistake's short name, e.g. ``missing-plate``.
        wrong: what is wrong, in a sentence.
        fix: what to write instead.
        site: the site or parameter it concerns, or "".
        place: ``file:line`` of the statement, or "".
        severity: "error" if the fit would be wrong or stop, else "warning"; "note" of what may be meant so.
    """

    code: str
    wrong: str
    fix: str
    site: str = ""
    place: str = ""
    severity: Severity = "error"

    def __str__(self) -> str:
        where = f"\n    where  {self.place}" if self.place else ""
        return f"{self.severity} [{self.code}] {self.wrong}{where}\n    fix    {self.fix}"


@dataclass(frozen=True)
class Findings:
    """The mistakes that `lint` found: iterable, with a length, printed one below the other.

    Attributes:
        found: errors first, then warnings, then notes.
        checks: how many checks were made.
    """

    found: tuple[Finding, ...]
    checks: int

    @property
    def ok(self) -> bool:
        """Whether no mistake was found; notes are none."""
        return all(f.severity == "note" for f in self.found)

    @property
    def errors(self) -> tuple[Finding, ...]:
        """Those that make a fit wrong or stop it."""
        return tuple(f for f in self.found if f.severity == "error")

    @property
    def codes(self) -> list[str]:
        """The short names of the mistakes."""
        return [f.code for f in self.found]

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def __str__(self) -> str:
        counts = Counter(f.severity for f in self.found)
        words = [_counted(counts[severity], severity) for severity in SEVERITIES]
        words = ["no mistake found" if self.ok else "", *words]
        return "\n".join(
            [f"{' and '.join(filter(None, words))} ({self.checks} checks)", *map(str, self.found)]
        )

    __repr__ = __str__

    def _repr_html_(self) -> str:
        if not self.found:
            return f"<p>{escape(str(self))}</p>"
        rows = "".join(
            f"<tr><td>{f.severity}<br><code>{f.code}</code></td><td style='text-align:left'>{escape(f.wrong)}"
            f"<br>{f'<small>{escape(f.place)}</small><br>' if f.place else ''}"
            f"<b>fix</b> {escape(f.fix)}</td></tr>"
            for f in self.found
        )
        return f"<p>{escape(str(self).splitlines()[0])}</p><table>{rows}</table>"


def _counted(n: int, word: str) -> str:
    return f"{n} {word}{'s' * (n != 1)}" if n else ""
