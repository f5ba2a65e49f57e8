"""Programs in, verdicts out: warm workers, one run each at a time, replaced when they die.

An infrastructure error is tried once more on another worker before it is reported as what it is.
"""

import os
import queue
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from training.sandbox.errors import WorkerLost
from training.sandbox.filter import compiled_filters
from training.sandbox.jail import Jail, make_jail
from training.sandbox.limits import Limits, SandboxConfig
from training.sandbox.verdict import Program, Verdict
from training.sandbox.worker import Worker


class Sandbox:
    """Use as a context manager; `run` may be called from any thread. Raises SandboxError when it cannot isolate.

    The jail is the most closed one that the machine allows, unless one is given.
    """

    def __init__(self, config: SandboxConfig | None = None, jail: Jail | None = None) -> None:
        self._config = config = config or SandboxConfig()
        self._filters = compiled_filters()
        self._jail = jail or make_jail(config)
        self.workers = config.workers or len(os.sched_getaffinity(0))
        self._free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        try:
            for _ in range(self.workers):
                self._free.put(self._worker())
        except BaseException:
            self.close()
            raise

    @property
    def isolation(self) -> str:
        """The layers that hold on this machine."""
        return self._jail.isolation

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers that are not running anything."""
        while not self._free.empty():
            self._free.get().close()
        self._jail.remove()

    def run(self, program: Program, limits: Limits | None = None) -> Verdict:
        """One verdict; waits for a free worker."""
        limits = limits or self._config.limits
        first = self._run_once(program, limits)
        return first if first.counts else self._run_once(program, limits)

    def run_all(self, programs: Iterable[Program], limits: Limits | None = None) -> Iterator[Verdict]:
        """Verdicts in the order of the programs, all workers busy."""
        with ThreadPoolExecutor(self.workers) as pool:
            yield from pool.map(lambda program: self.run(program, limits), programs)

    def _run_once(self, program: Program, limits: Limits) -> Verdict:
        worker = self._free.get()
        try:
            return worker.run(program, limits)
        except WorkerLost as error:
            return Verdict("infrastructure_error", str(error), "", self.isolation, 0.0, 0.0, 0.0, 0)
        finally:
            self._free.put(self._replaced(worker) if worker.spent else worker)

    def _replaced(self, worker: Worker) -> Worker:
        """A worker in place of one that is spent."""
        worker.close()
        try:
            return self._worker()
        except (WorkerLost, OSError):
            return worker  # who gets it next reports that, and tries again

    def _worker(self) -> Worker:
        return Worker(self._jail, self._config, self._filters)
