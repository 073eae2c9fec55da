"""The same work again and again, by this process or by several that it starts."""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler
from typing import Any

import torch

from ppl_gen.errors import DataError
from ppl_gen.isolation import one_thread

Work = Callable[[int], Any]
_work: list[Work] = []  # of a process that was started here
START = (
    "started processes import the script that starts them: call this below "
    '`if __name__ == "__main__":`, keep models and functions in a module that can be imported (a notebook '
    "cannot), or use workers=1"
)


class Each:
    """Pairs (index, what the work made of it), as they come: in order, if there is one worker.

    A process that dies takes one index with it, whose result is ``lost(index)``.
    """

    def __init__(self, work: Work, indices: Sequence[int], workers: int, lost: Work):
        self.work, self.indices, self.workers, self.lost = work, list(indices), workers, lost

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        if self.workers == 1 or len(self.indices) < 2:
            with one_thread():
                yield from ((index, self.work(index)) for index in self.indices)
            return
        try:
            ForkingPickler.dumps(self.work)
        except Exception as error:
            raise DataError(f"workers: {error}, so it cannot be sent to another process: {START}") from None
        left = list(self.indices)
        for workers in (self.workers, *[1] * len(self.indices)):  # after a death one at a time: who is it?
            if not left:
                return
            done = 0
            try:
                for index, found in self._pooled(left if workers > 1 else left[:1], workers):
                    yield index, found
                    left.remove(index)
                    done += 1
            except BrokenProcessPool:
                if workers > 1 and not done:
                    raise DataError(f"workers: none of the processes came up. Those {START}") from None
                if workers == 1:
                    yield left[0], self.lost(left.pop(0))

    def _pooled(self, indices: Sequence[int], workers: int) -> Iterator[tuple[int, Any]]:
        context = get_context("spawn")  # forked processes would inherit torch's locks
        pool = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(self.work,))
        whole = False
        try:
            futures = {pool.submit(_once, index): index for index in indices}
            for future in as_completed(futures):
                yield futures[future], future.result()
            whole = True
        finally:
            running = dict(getattr(pool, "_processes", None) or {})
            pool.shutdown(wait=whole, cancel_futures=True)
            stopped = () if whole else tuple(running.values())  # by hand, or by an error
            for process in stopped:
                process.terminate()
            for process in stopped:
                process.join()


def _begin(work: Work) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started this process stops it
    torch.set_num_threads(1)
    _work[:] = [work]


def _once(index: int) -> Any:
    return _work[0](index)
