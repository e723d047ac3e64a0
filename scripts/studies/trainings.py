"""The trainings of a study: what is missing, carrying it out, and the checkpoints that are there."""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yolo_focal
from studies.definition import Study
from yolo_focal.comparison.configurations import parse_configurations
from yolo_focal.comparison.journal import Journal
from yolo_focal.comparison.plan import trial_folder
from yolo_focal.comparison.runner import JOURNAL
from yolo_focal.comparison.trial import TRAINED, seconds_of
from yolo_focal.errors import ConfigError
from yolo_focal.text_table import aligned

__all__ = ["last_checkpoints", "run_studies", "show_plan"]


@dataclass(frozen=True)
class State:
    """How far a study is: the number of its trials, those finished, and the median seconds of a training."""

    trials: int
    finished: int
    seconds: float

    @property
    def hours(self) -> float:
        """What is missing, one trial after the other; NaN where no training was timed."""
        missing = self.trials - self.finished
        return missing * self.seconds / 3600 if missing else 0.0


def state_of(study: Study, out: Path) -> State:
    """From the journal of its comparison and the records of its trainings."""
    wanted = {(name, seed) for name in study.configurations for seed in study.seed_range}
    finished = Journal(out / study.name / JOURNAL).finished().keys()
    known = [seconds_of(record.parent) for record in (out / study.name).glob(f"trials/*/{TRAINED}")]
    seconds = [each for each in known if each is not None]
    return State(len(wanted), len(wanted & finished), statistics.median(seconds) if seconds else math.nan)


def show_plan(studies: Sequence[Study], arguments: Mapping[str, Any]) -> None:
    """A line for each study: what is missing, and how long it takes."""
    rows = [["study", "configurations", "seeds", "trials", "finished", "s a training", "hours left"]]
    states = [state_of(study, arguments["out"]) for study in studies]
    for study, state in zip(studies, states, strict=True):
        counts = [str(value) for value in (len(study.configurations), study.seeds, state.trials, state.finished)]
        timed = not math.isnan(state.seconds)
        rows.append(
            [study.name, *counts, f"{state.seconds:.0f}" if timed else "?", f"{state.hours:.1f}" if timed else "?"]
        )
    print("\n".join(aligned(rows)))
    hours = sum(state.hours for state in states if not math.isnan(state.hours))
    untimed = sum(math.isnan(state.seconds) for state in states)
    also = f", without the {untimed} studies that no training has timed" if untimed else ""
    print(f"Left: {hours:.1f} hours, one training after the other{also}.")


def run_studies(studies: Sequence[Study], arguments: Mapping[str, Any]) -> int:
    """Carry out what is missing; 1 where a trial failed."""
    failed = 0
    for study in studies:
        result = yolo_focal.compare(
            _below(arguments["datasets"], study.data),
            _below(arguments["datasets"], study.model),
            losses=study.configurations,
            seeds=list(study.seed_range),
            engine=arguments["engine"],
            parallel=arguments["parallel"],
            device=arguments["device"],
            extend=True,
            out=arguments["out"] / study.name,
            **study.training,
        )
        print(result.summary())
        failed += len(result.failed)
    return 1 if failed else 0


def _below(datasets: Path, name: str) -> str:
    """The file `name` in the folder of the datasets; `name` itself where there is none, as for what is built in."""
    file = datasets.expanduser() / name
    return str(file) if file.is_file() else name


def last_checkpoints(
    study: Study, out: Path, names: Sequence[str], question: str
) -> Iterator[tuple[str, int, Path, str]]:
    """Configuration, seed, last.pt and data YAML of every finished trial of `names`, in their order.

    Raises:
        ConfigError: the study's file names none for this question.
    """
    if not names:
        raise ConfigError(f"the study {study.name} has no {question}; name configurations in its file")
    source = out / study.name
    configurations = {each.name: each for each in parse_configurations(",".join(study.configurations))}
    finished = Journal(source / JOURNAL).finished()
    for name, seed in sorted(
        (key for key in finished if key[0] in names), key=lambda key: (names.index(key[0]), key[1])
    ):
        weights = trial_folder(source, configurations[name], seed) / "run/weights/last.pt"
        yield name, seed, weights, finished[name, seed]["arguments"]["data"]
