"""Work on several parts of a tensor at once, a thread for each part: no operation waits for the threads of another.

PyTorch splits every operation over its threads, and the next one starts when the slowest is through. Of hundreds of
short operations each then waits for a thread whose core another process is using, as workers of data loaders do. Here a
thread carries one part through all operations alone, and takes the next when it is done.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

__all__ = ["in_threads"]

Part = TypeVar("Part")
Found = TypeVar("Found")

_made = threading.Lock()
_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}  # by process, since threads do not survive a fork, and size


def in_threads(work: Callable[[Part], Found], parts: Sequence[Part]) -> list[Found]:
    """`work(part)` for every part, in their order, without autograd.

    As many at once as PyTorch uses threads for an operation, each part on one of them.
    """
    threads = torch.get_num_threads()
    if min(threads, len(parts)) < 2:
        return [work(part) for part in parts]
    inference = torch.is_inference_mode_enabled()

    def alone(part: Part) -> Found:
        with torch.inference_mode(inference), torch.no_grad():
            return work(part)

    return list(_pool(threads).map(alone, parts))


def _pool(size: int) -> ThreadPoolExecutor:
    with _made:
        key = os.getpid(), size
        if key not in _pools:
            cores = _cores()
            _pools[key] = ThreadPoolExecutor(size, "yolo_focal", initializer=_work_alone, initargs=(cores,))
            ready = threading.Barrier(size)
            list(_pools[key].map(lambda _: ready.wait(), range(size)))  # all threads are there, each with one to itself
            torch.set_num_threads(size)  # the threads have changed what later threads of this process would start with
        return _pools[key]


def _work_alone(cores: set[int]) -> None:
    """Let the operations of this thread run on it alone, and on any core."""
    torch.get_num_threads()  # now, since a thread's first operation would take the number from the whole process
    torch.set_num_threads(1)
    if cores:
        os.sched_setaffinity(0, cores)


def _cores() -> set[int]:
    """The cores that the threads of this process may use together; {} where the system does not tell.

    A new thread may use those of the thread that makes it, which OpenMP may have bound to a single one.
    """
    if not hasattr(os, "sched_setaffinity"):
        return set()
    cores: set[int] = set()
    for thread in Path("/proc/self/task").iterdir():
        try:
            cores |= os.sched_getaffinity(int(thread.name))
        except ProcessLookupError:  # it has just ended
            continue
    return cores
