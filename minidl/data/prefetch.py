"""Preparing what comes next in a thread: receives an iterator, returns one of the same values."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


def prefetched(source: Iterator[T], depth: int) -> Generator[T, None, None]:
    """Yield what ``source`` yields, up to ``depth`` values of which a thread has made before.

    What ``source`` raises is raised here, in its place among the values. The thread starts with
    the first value asked for and has ended when this iterator has: by itself, by an exception in
    whoever takes the values, or because it was closed.
    """
    made: SimpleQueue[tuple[bool, T | BaseException | None]] = SimpleQueue()
    room = threading.Semaphore(depth)
    stopped = threading.Event()

    def work() -> None:
        try:
            while room.acquire() and not stopped.is_set():
                made.put((True, next(source)))
        except StopIteration:
            made.put((False, None))
        except BaseException as error:  # whatever it is, it belongs to who takes the values
            made.put((False, error))

    thread = threading.Thread(target=work, name="minidl-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            good, value = made.get()
            if not good:
                if value is not None:
                    raise value  # type: ignore[misc]
                return
            room.release()
            yield value  # type: ignore[misc]
    finally:
        stopped.set()
        room.release()
        thread.join()
