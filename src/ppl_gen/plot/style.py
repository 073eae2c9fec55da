"""One look for all figures, on light and dark pages alike, and figures as SVG text."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from html import escape
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")
# Every colour has a contrast of 3 or more with white and with the dark paper, and any two
# differ under all three kinds of colour blindness (CIE76 distance 14 or more, among the first five 16).
PALETTE = ("#2a6fd0", "#e07b10", "#1aa58a", "#c93a58", "#806a10", "#cc6abf", "#667180")
LACKING, JOINERS = "\u25a1", "\u200d\ufe0e\ufe0f"  # a white square; what joins and varies emoji is unseen
FONTS = ("STIXGeneral", "DejaVu Serif")  # both come with matplotlib
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, PAPER = {False: "#1f2328", True: "#e6e8eb"}, {False: "#ffffff", True: "#14171b"}


@contextmanager
def style(dark: bool = False) -> Iterator[None]:
    """Draw in the look of ppl-gen; matplotlib's settings are as before afterwards.

    Args:
        dark: light ink on dark paper.

    >>> import matplotlib
    >>> before = matplotlib.rcParams["axes.grid"]
    >>> with style():
    ...     inside = matplotlib.rcParams["axes.grid"]
    >>> inside, matplotlib.rcParams["axes.grid"] == before
    (True, True)
    """
    import matplotlib
    from cycler import cycler

    ink, paper = INK[dark], PAPER[dark]
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    settings: dict[str, Any] = {
        **dict.fromkeys(inked, ink),
        "figure.facecolor": paper,
        "savefig.facecolor": paper,
        "axes.facecolor": paper,
        "figure.figsize": (5.0, 3.2),
        "figure.dpi": 120,
        "figure.constrained_layout.use": True,
        "font.family": list(FONTS),
        "mathtext.fontset": "stix",
        "font.size": 10.5,
        "axes.titlesize": 11,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.linewidth": 0.8,
        "axes.labelpad": 5,
        "axes.prop_cycle": cycler(color=PALETTE),
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "axes.grid": True,
        "axes.grid.which": "major",
        "grid.alpha": 0.14,
        "grid.linewidth": 0.8,
        "grid.linestyle": "-",
        "xtick.major.size": 3,
        "ytick.major.size": 0,
        "xtick.minor.size": 0,
        "lines.linewidth": 1.8,
        "lines.solid_capstyle": "round",
        "legend.frameon": False,
        "svg.hashsalt": "ppl-gen",
        "svg.fonttype": "path",
    }
    interactive = matplotlib.is_interactive()
    try:
        with matplotlib.rc_context(settings):
            try:
                yield
            finally:
                interactive = matplotlib.is_interactive()
    finally:
        matplotlib.interactive(interactive)  # the first figure of a notebook turns it on: or none would show


def drawable(name: str) -> str:
    """A name from outside as matplotlib draws it letter by letter: no mathematics, and □ for lacking glyphs.

    >>> print(drawable("cost in $ or £ 😀"))
    cost in \\$ or £ □
    """
    known = _glyphs()
    shown = "".join(letter if ord(letter) in known else LACKING for letter in name if letter not in JOINERS)
    return shown.replace("$", r"\$")


@cache
def _glyphs() -> frozenset[int]:
    """What `FONTS` have, upright and bold."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    weights = ("normal", "bold")
    each = [
        {
            code
            for font in FONTS
            for code in get_font(findfont(FontProperties(family=font, weight=w))).get_charmap()
        }
        for w in weights
    ]
    return frozenset(each[0] & each[1]) | {ord("\n")}


def inline(figure: "Figure", *, alt: str = "") -> str:
    """`svg` of a figure that nobody else needs: it is closed."""
    import matplotlib.pyplot as plt

    try:
        return svg(figure, alt=alt)
    finally:
        plt.close(figure)


def svg(figure: "Figure", *, alt: str = "") -> str:
    """A figure as SVG text to put into a page: transparent, with lines and letters in the page's own colour.

    The same figure gives the same text: no dates, no random names, and from here on a fixed layout. Letters
    are shapes, so that the figure looks alike everywhere; ``alt`` is what a screen reader says.

    Args:
        figure: any matplotlib figure; one drawn inside `style` follows light and dark pages.
        alt: what the figure shows; by default its titles and the labels of its axes.

    >>> from ppl_gen.plot import elbo, style, svg
    >>> with style():
    ...     text = svg(elbo([-9.0, -5.0, -4.0]).figure, alt="the bound rises")
    >>> text[:47]
    '<svg role="img" aria-label="the bound rises" st'
    """
    import matplotlib

    page = io.StringIO()
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # each run of a layout engine would move things by a hair
    with matplotlib.rc_context({"svg.hashsalt": "ppl-gen", "svg.fonttype": "path"}):
        figure.savefig(page, format="svg", transparent=True, metadata=dict.fromkeys(("Date", "Creator")))
    text = page.getvalue()
    text = text[text.index("<svg") :].rstrip()
    # A style sheet inside a page would hold for the whole page: its two properties go to the root instead.
    not_ours = r"<metadata>.*?</metadata>|<style.*?</style>|<defs>\s*</defs>|<!--.*?-->"
    text = re.sub(not_ours, "", text, flags=re.S)
    for ink in INK.values():
        text = text.replace(ink, "currentColor")
    hundredths = re.compile(r"(\.\d\d)\d+")  # of a point: finer cannot be seen, and doubles the text
    text = re.sub(r' (?:d|x|y)="[^"]*"', lambda m: hundredths.sub(r"\1", m[0]), text)
    text = _own_names(text)
    label = escape(alt or _described(figure), quote=True)
    look = "max-width:100%;height:auto;stroke-linejoin:round;stroke-linecap:butt"
    text = text.replace("<svg ", f'<svg role="img" aria-label="{label}" style="{look}" ', 1)
    return re.sub(r"\n\s*\n+", "\n", text)


def _own_names(text: str) -> str:
    """Drop names that nothing refers to; make the others this figure's own, since a page may hold several."""
    used = set(re.findall(r'(?:href="#|url\(#)([^")]+)', text))
    mark = "f" + hashlib.sha256(text.encode()).hexdigest()[:8]
    text = re.sub(r' id="([^"]+)"', lambda m: f' id="{mark}-{m[1]}"' if m[1] in used else "", text)
    return re.sub(r'(href="#|url\(#)([^")]+)', lambda m: f"{m[1]}{mark}-{m[2]}", text)


def _described(figure: "Figure") -> str:
    parts = []
    for ax in figure.axes:
        title = ax.get_title(loc="left") or ax.get_title() or str(ax.get_label())
        labels = {"x": ax.get_xlabel(), "y": ax.get_ylabel()}
        axes = [f"{name}: {label}" for name, label in labels.items() if label]
        parts.append(", ".join([title, *axes] if title else axes))
    return "Figure: " + "; ".join(part for part in parts if part)


def in_style(draw: Callable[P, R]) -> Callable[P, R]:
    """Draw in the look of `style` from the first line to the last word, but on an ``ax`` of the caller's."""

    @wraps(draw)
    def drawn(*args: P.args, **options: P.kwargs) -> R:
        import matplotlib

        styled = matplotlib.rcParams["svg.hashsalt"] == "ppl-gen"  # the caller is inside `style` already
        if styled or options.get("ax") is not None:
            return draw(*args, **options)
        with style():
            return draw(*args, **options)

    return drawn
