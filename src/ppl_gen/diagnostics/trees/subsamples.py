"""Programs that train on subsamples of their rows, run on all rows."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pyro import poutine
from pyro.poutine.subsample_messenger import SubsampleMessenger

from ppl_gen.errors import DataError, PplGenError


@contextmanager
def whole_plates() -> Iterator[None]:
    """Plates that draw a subsample of their rows take all of them.

    Pyro has no handler for that: a plate refuses rows of another number than its ``subsample_size``. To be
    entered where threads take turns, as in `isolated`.

    Raises:
        DataError: the program does not run on all rows.
    """
    drawn, parts = SubsampleMessenger._subsample, dict[str, tuple[int, int]]()

    def every(
        name: str, size: Any = None, subsample_size: Any = None, subsample: Any = None, *more: Any, **its: Any
    ) -> Any:
        if subsample_size not in (None, size):
            parts[name] = int(subsample_size), int(size)
        return drawn(name, size, None if subsample is None else subsample_size, subsample, *more, **its)

    SubsampleMessenger._subsample = staticmethod(every)
    try:
        yield
    except (ValueError, RuntimeError, IndexError) as error:
        if isinstance(error, PplGenError) or not parts:
            raise
        name, (rows, size) = next(iter(parts.items()))
        raise DataError(f"{_partial(name, 'program', rows, size)} (on all rows: {_first(error)})") from error
    finally:
        SubsampleMessenger._subsample = staticmethod(drawn)


def _first(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def refuse_subsamples(traces: Mapping[str, poutine.Trace]) -> None:
    """Rows that are handed to a plate as a part of more are not all rows, of which each has a likelihood."""
    for side, trace in traces.items():
        for name, site in trace.nodes.items():
            fn = site.get("fn")
            if type(fn).__name__ == "_Subsample" and len(site["value"]) != fn.size:
                raise _partial(name, side, len(site["value"]), fn.size)
            if site["type"] != "sample" or not site["is_observed"]:
                continue
            shape = site["value"].shape[: site["value"].dim() - fn.event_dim]
            for frame in site["cond_indep_stack"]:
                rows = shape[frame.dim] if frame.vectorized and -frame.dim <= len(shape) else 1
                if rows not in (1, frame.size):
                    raise _partial(frame.name, side, rows, frame.size)


def _partial(plate: str, side: str, rows: int, size: int) -> DataError:
    return DataError(
        f"plate {plate!r} of the {side} holds {rows:,} of {size:,} rows, and all are needed: pass all to a "
        f"program that takes its own, by pyro.plate({plate!r}, {size}, subsample_size=…) as index"
    )
