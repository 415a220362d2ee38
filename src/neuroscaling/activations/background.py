"""Work that goes on beside the forward passes: one thread that writes, with a bounded amount of waiting values."""

from collections import deque
from collections.abc import Callable
from threading import Condition, Thread
from types import TracebackType

LIMIT = 256 * 2**20


class Background:
    """Runs tasks one after the other in a thread; `put` waits while more than `limit` bytes are waiting.

    Leaving the `with` block waits for all tasks, and raises what one of them raised; when the block itself raised,
    tasks that have not begun are dropped.
    """

    def __init__(self, limit: int = LIMIT):
        self._limit, self._bytes, self._error = limit, 0, None
        self._tasks: deque[tuple[int, Callable[[], None]]] = deque()
        self._changed, self._closed = Condition(), False
        self._thread = Thread(target=self._run, name="writer", daemon=True)

    def __enter__(self) -> "Background":
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with self._changed:
            self._closed = True
            if kind is not None:
                self._tasks.clear()
            self._changed.notify_all()
        self._thread.join()
        if kind is None and self._error is not None:
            raise self._error

    def put(self, size: int, task: Callable[[], None]) -> None:
        """Queue a task that holds `size` bytes. Raises what an earlier task raised."""
        with self._changed:
            while self._bytes and self._bytes + size > self._limit and self._error is None:
                self._changed.wait()
            if self._error is not None:
                raise self._error
            self._tasks.append((size, task))
            self._bytes += size
            self._changed.notify_all()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._tasks and not self._closed:
                    self._changed.wait()
                if not self._tasks:
                    return
                size, task = self._tasks.popleft()
            try:
                task()
            except BaseException as error:
                self._error = error
                with self._changed:
                    self._tasks.clear()
                    self._changed.notify_all()
                return
            del task
            with self._changed:
                self._bytes -= size
                self._changed.notify_all()
