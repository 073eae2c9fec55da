"""Several processes that share the work of one fit: who this one is, and what they tell each other.

``torchrun`` starts the same script in each process and tells it its rank, how many there are and where to
meet. Every process calls the same verbs with the same data; `fit` gives each a part of the rows and adds up
what they found, so that all end with the same posterior. Outside torchrun there is one process, and nothing
here does anything. Messages go by torch.distributed: gloo between CPUs, NCCL between GPUs.

::

    from ppl_gen import fit, ranks, save

    posterior = fit(model, x=x)       # all processes share it
    save(posterior, "fit.pplgen")     # the first one writes, the others wait for it
    if ranks.main():
        print(posterior)              # once
    with ranks.alone():
        ...                           # every process for itself
"""

import atexit
import hashlib
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from ppl_gen.errors import OutOfStep

T = TypeVar("T")
TIMEOUT = timedelta(
    minutes=10
)  # for one that is late, or gone without a word; a killed one is missed at once
_TOLD = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_ALONE: ContextVar[bool] = ContextVar("alone", default=False)
_STORE: list[Any] = []  # where the processes of a group made here leave word for one another
_SAVED: Counter[str] = Counter()


class World(NamedTuple):
    """This process, counted from 0, and how many share the work."""

    rank: int
    size: int


def world() -> World:
    """Who this process is; the first call under torchrun meets the others."""
    if _ALONE.get():
        return World(0, 1)
    if dist.is_available() and not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", 1)) > 1:
        _join()
    if dist.is_available() and dist.is_initialized():
        return World(dist.get_rank(), dist.get_world_size())
    return World(0, 1)


def count() -> int:
    """How many processes share the work.

    >>> count(), main()
    (1, True)
    """
    return world().size


def main() -> bool:
    """Whether this is the process that prints and writes."""
    return world().rank == 0


@contextmanager
def alone() -> Iterator[None]:
    """Let this process work by itself, say on data of its own, or where the others do not come."""
    token = _ALONE.set(True)
    try:
        yield
    finally:
        _ALONE.reset(token)


def _join() -> None:
    lacking = [name for name in _TOLD if name not in os.environ]
    if lacking:
        raise OutOfStep(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {', '.join(lacking)} is not set, so the "
            f"processes cannot meet: start them with torchrun, or unset WORLD_SIZE"
        )
    with _meeting():
        store, rank, size = next(rendezvous("env://", timeout=TIMEOUT))
        backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() and dist.is_nccl_available() else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=TIMEOUT)
    _STORE.append(store)
    atexit.register(_leave)


def _leave() -> None:
    _STORE.clear()
    if dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _meeting() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise OutOfStep(
            f"process {os.environ.get('RANK', '?')} of {os.environ.get('WORLD_SIZE', '?')} lost the others: "
            f"one has ended, or did not come here within {TIMEOUT.seconds // 60} minutes. Every process must "
            f"call fit alike; work of one alone belongs inside `with ppl_gen.ranks.alone():`"
        ) from error


# What each has to do ----------------------------------------------------------------------------------------


def own(n: int) -> slice:
    """This process's part of ``n`` rows: parts lie one after the other and differ by one row at most.

    >>> own(5)
    slice(0, 5, None)
    """
    return share(n, world())


def share(n: int, who: World) -> slice:
    """The part of ``n`` rows of one of several processes.

    >>> [share(5, World(rank, 2)) for rank in (0, 1)]
    [slice(0, 3, None), slice(3, 5, None)]
    """
    each, more = divmod(n, who.size)
    first = who.rank * each + min(who.rank, more)
    return slice(first, first + each + (who.rank < more))


def part(n: int, who: World) -> tuple[slice, float]:
    """One process's rows of a batch of ``n``, and what each of them counts.

    The mean over the processes of (what the rows share + size × own rows) is (what they share + all rows),
    however many rows each process has. One that has none takes a row that counts nothing.

    >>> part(3, World(1, 2))
    (slice(2, 3, None), 2.0)
    >>> part(1, World(1, 2))
    (slice(0, 1, None), 0.0)
    """
    mine = share(n, who)
    return (mine, float(who.size)) if mine.stop > mine.start else (slice(0, 1), 0.0)


# What they tell each other ----------------------------------------------------------------------------------


def gathered(tensor: Tensor) -> list[Tensor]:
    """The tensor of every process, of one shape, in the order of their ranks."""
    who = world()
    if who.size == 1:
        return [tensor]
    found = [torch.empty_like(tensor, memory_format=torch.contiguous_format) for _ in range(who.size)]
    with _meeting():
        dist.all_gather(found, tensor.detach().contiguous())
    return found


def total(value: Any) -> Any:
    """The sum over all processes of a number or a tensor: the same in each, to the last bit."""
    if world().size == 1:
        return value
    found = sum(gathered(torch.as_tensor(value, dtype=torch.float64)))
    return found if isinstance(value, Tensor) else float(found)


def averaged(tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    """The means over all processes: one message for all tensors of a type."""
    size, found = world().size, dict[int, Tensor]()
    for kind in dict.fromkeys((t.dtype, t.device) for t in tensors):  # in the same order everywhere
        chosen = [i for i, t in enumerate(tensors) if (t.dtype, t.device) == kind]
        flat = torch.cat([tensors[i].detach().reshape(-1) for i in chosen])
        with _meeting():
            dist.all_reduce(flat)
        parts = flat.div_(size).split([tensors[i].numel() for i in chosen])
        found |= {i: p.reshape(tensors[i].shape) for i, p in zip(chosen, parts, strict=True)}
    return tuple(found[i] for i in range(len(tensors)))


def start_alike(module: torch.nn.Module) -> None:
    """Give every process the parameters and buffers of the first: a network starts at random."""
    if world().size > 1:
        with torch.no_grad(), _meeting():
            for tensor in (*module.parameters(), *module.buffers()):
                sent = tensor.detach().contiguous()
                dist.broadcast(sent, 0)
                tensor.copy_(sent)


def first(work: Callable[[], T]) -> T:
    """What the first process's ``work`` gives, in all processes; the others do none.

    Raises:
        Exception: what it raised, in all.
    """
    if world().size == 1:
        return work()
    said: list[Any] = [None, None]
    if main():
        try:
            said[0] = work()
        except Exception as error:
            said[1] = error
    with _meeting():
        dist.broadcast_object_list(said, 0)
    if said[1] is not None:
        raise said[1]
    found: T = said[0]
    return found


def objects(own: T) -> list[T]:
    """What every process has, in the order of their ranks: plain values and tensors."""
    if world().size == 1:
        return [own]
    found: list[Any] = [None] * world().size
    with _meeting():
        dist.all_gather_object(found, own)
    return found


def every(flag: bool) -> bool:
    """Whether it is so in all processes."""
    return all(int(each) for each in gathered(torch.tensor(int(flag))))


def texts(text: str) -> list[str]:
    """What every process says, in the order of their ranks."""
    if world().size == 1:
        return [text]
    said = torch.frombuffer(bytearray(text.encode() or b" "), dtype=torch.uint8)
    lengths = [int(n) for n in gathered(torch.tensor(len(said)))]
    padded = torch.cat([said, said.new_zeros(max(lengths) - len(said))])
    return [bytes(t[:n].tolist()).decode() for t, n in zip(gathered(padded), lengths, strict=True)]


def agree(what: str, fingerprint: str) -> None:
    """Make sure that all processes are here with the same data.

    Raises:
        OutOfStep: they are not; parts of different data would add up to nonsense.
    """
    if world().size == 1:
        return
    digest = hashlib.sha256(f"{what} {fingerprint}".encode()).digest()
    found = gathered(torch.frombuffer(bytearray(digest), dtype=torch.uint8))
    odd = [str(rank) for rank, other in enumerate(found) if not torch.equal(other, found[0])]
    if odd:
        raise OutOfStep(
            f"process{'es' * (len(odd) > 1)} {', '.join(odd)} of {len(found)} came with other data, or for "
            f"another fit, than process 0. Every process must be given the same rows (draw them with a seed) "
            f"and takes its part of them; work of one alone belongs inside `with ppl_gen.ranks.alone():`"
        )


def hush() -> None:
    """Leave warnings to the first process, until the filters are restored."""
    if not main():
        warnings.simplefilter("ignore")


def wait_for(path: str) -> bool:
    """Whether this process has to write ``path``; the others come back when the first has `written` it."""
    if main():
        return True
    _SAVED[path] += 1
    if _STORE:
        with _meeting():
            _STORE[0].wait([f"{path} {_SAVED[path]}"], TIMEOUT)
    return False


def written(path: str) -> None:
    """Tell the others that ``path`` is there."""
    _SAVED[path] += 1
    if _STORE and not _ALONE.get():
        _STORE[0].set(f"{path} {_SAVED[path]}", "")
