"""The line of a joint in the notation of a textbook: `latex` for LaTeX, `markup` for HTML."""

import re
from html import escape

from ppl_gen.errors import NotationError

_LETTERS = """
    alpha=α beta=β gamma=γ delta=δ epsilon=ε zeta=ζ eta=η theta=θ iota=ι kappa=κ lam=λ lambda=λ mu=μ nu=ν xi=ξ
    pi=π rho=ρ sigma=σ tau=τ upsilon=υ phi=φ chi=χ psi=ψ omega=ω Gamma=Γ Delta=Δ Theta=Θ Lambda=Λ Xi=Ξ
    Pi=Π Sigma=Σ Upsilon=Υ Phi=Φ Psi=Ψ Omega=Ω
"""
_GREEK = dict(pair.split("=") for pair in _LETTERS.split())


def latex(line: str) -> str:
    r"""The declared line of a model in LaTeX, without dollar signs.

    Args:
        line: a product of factors, as in ``"p(z) p(x | z)"``. Greek names become Greek letters, trailing
            digits subscripts, and other names of several letters stand upright.

    Raises:
        NotationError: the line is not a product of factors.

    Example:
        >>> print(latex("p(pi) p(mu | tau) p(x0 | y, mu, weight)"))
        p(\pi)\,p(\mu \mid \tau)\,p(x_{0} \mid y, \mu, \mathrm{weight})
    """
    names = r"\s*\w+\s*(?:,\s*\w+\s*)*"
    if not re.fullmatch(rf"(?:\s*\w+\({names}(?:\|{names})?\))+\s*", line):
        raise NotationError(f"line: expected a product of factors such as 'p(z) p(x | z)', got {line!r}")
    spaced = re.sub(r"\s*([()])\s*", r"\1", line.strip())
    spaced = re.sub(r"\s*\|\s*", r" \\mid ", re.sub(r"\s*,\s*", ", ", spaced))
    spaced = spaced.replace(")", r")\,").removesuffix(r"\,")
    return re.sub(r"(?<!\\)\b\w+", lambda name: _latex_name(name.group()), spaced)


def markup(line: str) -> str:
    """A line, or a name, in HTML: letters in italics, Greek ones for Greek names; no factor is broken.

    It needs neither a script nor a special font, and is read aloud as it was written.

    Example:
        >>> print(markup("p(mu | x0)"))
        <span role="math" aria-label="p(mu | x0)"><span style="white-space: nowrap"><i>p</i>(<i>μ</i> |
        <i>x</i><sub>0</sub>)</span></span>
    """

    def name(match: re.Match[str]) -> str:
        letters, digits = parts(match.group())
        written = f"<i>{letters}</i>" if len(letters) == 1 else escape(letters)
        return written + (f"<sub>{digits}</sub>" if digits else "")

    factors = re.findall(r"[^()]+(?:\([^()]*\))?", line)
    typeset = (re.sub(r"[^\W\d]\w*", name, factor.strip()) for factor in factors)
    lines = " ".join(f'<span style="white-space: nowrap">{factor}</span>' for factor in typeset)
    return f'<span role="math" aria-label="{escape(line)}">{lines}</span>'


def parts(name: str) -> tuple[str, str]:
    """What is written for a name: its letters, Greek if they spell one, and digits or the j of x_j below."""
    if re.fullmatch(r"[^\W\d_]_[a-z]", name):
        return name[0], name[2]
    letters, digits = re.fullmatch(r"(.*?)_?(\d*)", name, re.DOTALL).groups()  # type: ignore[union-attr]
    return (_GREEK.get(letters, letters), digits) if letters else (digits, "")


def _latex_name(name: str) -> str:
    letters, digits = parts(name)
    command = {symbol: "\\" + word for word, symbol in _GREEK.items()}.get(letters)
    upright = letters if len(letters) == 1 else rf"\mathrm{{{letters}}}".replace("_", r"\_")
    return (command or upright) + (f"_{{{digits}}}" if digits else "")
