"""Try a source quickly: its code runs, with fits cut short, and without what depends on their results."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ppl_gen.diagnostics.trust import quality
from ppl_gen.inference import NUTS, SVI
from tutorials.percent import cells

LIMITS: dict[type, dict[str, int]] = {
    SVI: {"steps": 20},
    NUTS: {"draws": 20, "warmup": 20},
}


WEIGHED = 100  # draws by which a guide is judged


@contextmanager
def short_fits() -> Iterator[None]:
    """Whatever they are told, methods take LIMITS steps and draws, and a guide is judged by WEIGHED."""
    patches = [
        patch.object(kind, "__post_init__", _cut(kind, limits))
        for kind, limits in LIMITS.items()
    ]
    patches.append(patch.object(quality, "drawn", _fewer(quality.drawn)))
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()


def _cut(kind: Any, limits: dict[str, int]) -> Any:
    real = kind.__post_init__

    def cut(method: Any) -> None:
        for name, limit in limits.items():
            asked = getattr(method, name)
            object.__setattr__(
                method, name, limit if asked is None else min(asked, limit)
            )
        real(method)

    return cut


def _fewer(real: Any) -> Any:
    def drawn(posterior: Any, draws: int, *others: Any) -> Any:
        return real(posterior, min(draws, WEIGHED), *others)

    return drawn


def smoke(source: Path) -> dict[str, Any]:
    """Run the code of a source; returns the names that it leaves."""
    names: dict[str, Any] = {"__name__": "__main__"}
    with short_fits():
        for cell in cells(source.read_text(encoding="utf-8")):
            if cell.kind in ("code", "install"):
                exec(compile(cell.source, str(source), "exec"), names)
    return names
