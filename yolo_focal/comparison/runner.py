"""Carrying a comparison out: the trials that are missing, each noted the moment it ends, with the time left."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo_focal.comparison.engines import Rows
from yolo_focal.comparison.journal import Journal
from yolo_focal.comparison.plan import Plan, claim_folder
from yolo_focal.comparison.trial import Trial, damage
from yolo_focal.errors import DataError

__all__ = ["JOURNAL", "run_missing_trials"]

JOURNAL = "trials.jsonl"
_LOCK = ".lock"
_BAR = 24  # characters


def run_missing_trials(plan: Plan, engine: Callable[[list[Trial]], Rows], extend: bool = False) -> Journal:
    """Carry out the trials of `plan` that are not finished; those that failed before are tried again.

    Args:
        plan: the comparison.
        engine: carries trials out.
        extend: whether the folder may hold the same comparison with fewer seeds or configurations.

    Raises:
        DataError: the folder belongs to another comparison, or another process is at work in it.
    """
    claim_folder(plan, extend)
    with _only_process(plan.out / _LOCK):
        journal = Journal(plan.out / JOURNAL)
        journal.cut_unfinished_line()
        trials = plan.trials()
        finished = _intact(trials, journal)
        missing = [trial for trial in trials if (trial.configuration, trial.seed) not in finished]
        if missing:
            progress = _Progress(len(trials), len(finished))
            try:
                for row in engine(missing):
                    journal.append(row)
                    progress.show(row)
            except KeyboardInterrupt as interruption:
                raise KeyboardInterrupt(
                    f"{progress.done} of {len(trials)} trials have come to their end and are kept in {plan.out}; "
                    "the same command again goes on with the others"
                ) from interruption
    return journal


def _intact(trials: Sequence[Trial], journal: Journal) -> set[tuple[str, int]]:
    """Configuration and seed of the trials that are finished and whose results can be read; says which cannot."""
    rows = journal.finished()
    for number in sorted(journal.damaged):
        print(f"{journal.path.name}, line {number}: not a trial, damaged; what it was counts as missing", flush=True)
    intact = set()
    for trial in trials:
        key = trial.configuration, trial.seed
        if key in rows and (problem := damage(trial, rows[key])) is not None:
            print(f"{trial.label}: {problem}; it is evaluated again", flush=True)
        elif key in rows:
            intact.add(key)
    return intact


@contextlib.contextmanager
def _only_process(lock: Path) -> Iterator[None]:
    """Hold the folder for this process; the system lets go of it however the process ends."""
    if lock.is_dir():
        raise DataError(f"{lock} is a folder, and has to be a file; remove it")
    with lock.open("w") as file:
        try:
            _lock(file.fileno())
        except OSError as error:
            raise DataError(
                f"another process is at work in {lock.parent}; wait for it, or name another out= folder"
            ) from error
        yield


def _lock(descriptor: int) -> None:
    """Lock a file for as long as this process has it open; OSError where another process has."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class _Progress:
    """One line per trial: a bar, the result, and the time left by the pace so far."""

    def __init__(self, total: int, done: int):
        self._total, self.done, self._before = total, done, done
        self._started = time.monotonic()
        print(self._line("resuming: " + str(done) + " finished before" if done else "starting"), flush=True)

    def show(self, row: dict[str, Any]) -> None:
        """Print the state after the trial of `row`."""
        self.done += 1
        pace = (time.monotonic() - self._started) / (self.done - self._before)
        left = pace * (self._total - self.done)
        outcome = f"AP {row['stats']['AP']:.3f}" if row["status"] == "finished" else f"FAILED: {row['error']}"
        remaining = f", {_duration(left)} left" if self.done < self._total else ""
        print(self._line(f"{row['configuration']} seed {row['seed']}: {outcome}{remaining}"), flush=True)

    def _line(self, text: str) -> str:
        filled = _BAR * self.done // self._total
        return f"trials {'█' * filled}{'░' * (_BAR - filled)} {self.done}/{self._total}  {text}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"about {seconds:.0f} s"
    return f"about {seconds / 60:.0f} min" if seconds < 5400 else f"about {seconds / 3600:.1f} h"
