"""Carrying a comparison out: the trials that are missing, each noted the moment it ends, with the time left."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from yolo_focal.comparison.engines import Rows
from yolo_focal.comparison.journal import Journal
from yolo_focal.comparison.outlook import Outlook, duration
from yolo_focal.comparison.plan import LOCK, Plan, check_folder, claim_folder
from yolo_focal.comparison.trial import FirstEpoch, Trial, damage, remove_weights
from yolo_focal.console import say
from yolo_focal.errors import DataError

__all__ = ["JOURNAL", "look_ahead", "run_missing_trials"]

JOURNAL = "trials.jsonl"
_BAR = 24  # characters


def look_ahead(plan: Plan, extend: bool = False, keep: str = "last") -> tuple[Journal, Outlook]:
    """What is there of a comparison, and what `run_missing_trials` would do with the same arguments; writes nothing.

    Raises:
        DataError: the folder belongs to another comparison.
    """
    check_folder(plan, extend)
    journal = Journal(plan.out / JOURNAL)
    return journal, Outlook(plan, frozenset(_intact(plan.trials(), journal)), keep)


def run_missing_trials(
    plan: Plan, engine: Callable[[list[Trial], FirstEpoch], Rows], extend: bool = False, keep: str = "last"
) -> Journal:
    """Carry out the trials of `plan` that are not finished; those that failed before are tried again.

    Args:
        plan: the comparison.
        engine: carries trials out, and may tell how long their first epoch took.
        extend: whether the folder may hold the same comparison with fewer seeds or configurations.
        keep: the weights that stay of each trial that is carried out: `last`, `best`, `all` or `none`.

    Raises:
        DataError: the folder belongs to another comparison, or another process is at work in it.
    """
    check_folder(plan, extend)
    with _only_process(plan.out / LOCK):
        claim_folder(plan, extend)
        Journal(plan.out / JOURNAL).cut_unfinished_line()
        journal, outlook = look_ahead(plan, extend, keep)
        say(outlook.text())
        if outlook.missing:
            progress = _Progress(outlook)
            folders = {(trial.configuration, trial.seed): trial.folder for trial in outlook.missing}
            try:
                for row in engine(outlook.missing, progress.first_epoch):
                    journal.append(row)  # only then: until a trial is noted as finished it may need its weights again
                    if row["status"] == "finished":
                        remove_weights(folders[row["configuration"], row["seed"]], keep)
                    progress.show(row)
            except KeyboardInterrupt as interruption:
                raise KeyboardInterrupt(
                    f"{progress.done} of {progress.total} trials have come to their end and are kept in {plan.out}; "
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
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise DataError(f"cannot write to {lock.parent} ({error.strerror}); name a folder you may write to") from error
    with file:
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

    def __init__(self, outlook: Outlook):
        self.total = len(outlook.plan.trials())
        self.done = self._before = len(outlook.finished)
        self._epochs = int(outlook.plan.training["epochs"])
        self._estimated = outlook.seconds is not None
        self._started = time.monotonic()
        say(self._line(f"resuming: {self.done} finished before" if self.done else "starting"))

    def first_epoch(self, seconds: float) -> None:
        """Print once how long it all will take, if no trial has shown that yet."""
        if not self._estimated:
            left = seconds * self._epochs * (self.total - self.done)
            say(self._line(f"{duration(left)} left, at the pace of the first epoch"))
        self._estimated = True

    def show(self, row: dict[str, Any]) -> None:
        """Print the state after the trial of `row`."""
        self.done += 1
        self._estimated = True
        pace = (time.monotonic() - self._started) / (self.done - self._before)
        left = pace * (self.total - self.done)
        outcome = f"AP {row['stats']['AP']:.3f}" if row["status"] == "finished" else f"FAILED: {row['error']}"
        remaining = f", {duration(left)} left" if self.done < self.total else ""
        say(self._line(f"{row['configuration']} seed {row['seed']}: {outcome}{remaining}"))

    def _line(self, text: str) -> str:
        filled = _BAR * self.done // self.total
        return f"trials {'█' * filled}{'░' * (_BAR - filled)} {self.done}/{self.total}  {text}"
