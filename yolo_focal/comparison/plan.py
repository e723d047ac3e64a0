"""The plan of a comparison: everything checked before the first trial, and the folder that belongs to it alone."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import yolo_focal
from yolo_focal.arguments.passed_on import MEASURED_WITH
from yolo_focal.comparison.configurations import Configuration
from yolo_focal.comparison.trial import Trial
from yolo_focal.console import quiet
from yolo_focal.data.usable import refuse_repeated, refuse_unusable
from yolo_focal.errors import ConfigError, DataError
from yolo_focal.evaluation.buckets import frequency_buckets
from yolo_focal.evaluation.training_counts import training_counts_from_yolo
from yolo_focal.files import write_json
from yolo_focal.paths import is_file
from yolo_focal.ultra.datasets import find_data_yaml, read_dataset, refuse_unusable_data
from yolo_focal.ultra.drivers.check_before_run import check_asked, check_before_run
from yolo_focal.ultra.drivers.load_model import load_to_compare
from yolo_focal.ultra.sampling.rare_training import refuse_without_pasting

__all__ = ["LOCK", "Plan", "Split", "check_folder", "claim_folder", "make_plan", "trial_folder"]

IDENTITY = "comparison.json"
LOCK = ".lock"
_COUNTED = ("images", "training_boxes")  # of the dataset; earlier versions did not note them, and evaluated all alike
# Every training runs its whole budget, and its last weights are evaluated: nothing is chosen on the evaluated split.
_EQUAL_BUDGET = {"patience": 0, "plots": False, "save": True}


@dataclass(frozen=True)
class Split:
    """The evaluated split.

    Attributes:
        name: `train`, `val` or `test`.
        images: number of images.
        classes: class names.
        training_instances: boxes of each class in the training split.
        buckets: `rare`, `common` or `frequent` for each class, thirds by training instances.
    """

    name: str
    images: int
    classes: tuple[str, ...]
    training_instances: tuple[int, ...]
    buckets: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A comparison.

    Attributes:
        out: its folder, absolute.
        data: data YAML, absolute.
        model: architecture or checkpoint every trial starts from.
        configurations: the competitors, the baseline first.
        seeds: seeds of the trainings, the same for every configuration.
        training: the training arguments they share.
        split: where they are evaluated.
    """

    out: Path
    data: str
    model: str
    configurations: tuple[Configuration, ...]
    seeds: tuple[int, ...]
    training: Mapping[str, Any]
    split: Split

    def trials(self) -> list[Trial]:
        """All trials, seed by seed, so that pairs are complete as early as possible."""
        return [
            Trial(
                configuration=each.name,
                seed=seed,
                folder=trial_folder(self.out, each, seed),
                model=self.model,
                arguments=self.asked(each) | {"seed": seed},
                split=self.split.name,
                measured_with=self.measured_with,
            )
            for seed in self.seeds
            for each in self.configurations
        ]

    def asked(self, configuration: Configuration) -> dict[str, Any]:
        """The training arguments of a configuration, all but the seed."""
        return {"data": self.data, **_EQUAL_BUDGET, **self.training, **configuration.arguments}

    @property
    def measured_with(self) -> dict[str, Any]:
        """How every trained model is evaluated, where not as `evaluate` does by default."""
        return {name: self.training[name] for name in sorted(MEASURED_WITH) if self.training.get(name) is not None}

    def identity(self) -> dict[str, Any]:
        """What makes it this comparison and no other; where and how fast it is carried out does not."""
        return {
            "data": self.data,
            "split": self.split.name,
            "images": self.split.images,
            "training_boxes": sum(self.split.training_instances),
            "measured_with": self.measured_with,
            "model": self.model,
            "configurations": {each.name: dict(each.arguments) for each in self.configurations},
            "seeds": list(self.seeds),
            **{name: value for name, value in self.training.items() if name != "device"},
        }


def trial_folder(out: Path, configuration: Configuration, seed: int) -> Path:
    """That of one training below the folder of its comparison."""
    return out / "trials" / f"{configuration.slug}-seed{seed}"


def make_plan(
    *,
    out: Path,
    data: str,
    model: str,
    configurations: Sequence[Configuration],
    seeds: Sequence[int],
    training: Mapping[str, Any],
    split: str,
) -> Plan:
    """Check everything and return the plan; enables the plugin, writes nothing into `out`.

    Raises:
        YoloFocalError: a dataset, split, model or argument with which a trial could only fail.
    """
    yolo_focal.enable()
    data = str(find_data_yaml(data).absolute())
    read = _read_split(data, split)
    yolo = load_to_compare(model)
    plan = Plan(
        out=out.absolute(),
        data=data,
        # Looked up after loading, which downloads a released checkpoint: the same command finds the file next time.
        model=str(Path(model).absolute()) if is_file(Path(model)) else model,
        configurations=tuple(configurations),
        seeds=tuple(seeds),
        training=dict(training),
        split=read,
    )
    problems: list[str] = []
    for each in plan.configurations:
        try:
            check_before_run(each.arguments)
            check_asked(yolo, plan.asked(each))
            refuse_without_pasting(plan.asked(each))  # half of the recipe would be measured under its name
        except ConfigError as error:
            problems += [f"{problem} (configuration {each.name})" for problem in error.problems]
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return plan


def _read_split(data: str, name: str) -> Split:
    dataset = read_dataset(data)
    for each in dict.fromkeys(("train", name)):
        refuse_unusable(dataset, each)
    refuse_unusable_data(data)  # a training also needs a val split
    refuse_repeated(dataset, name)
    if again := [each for each, count in Counter(dataset.names).items() if count > 1]:
        raise DataError(f"{data}: several classes are called '{again[0]}', and results go by name; rename them")
    files = dataset.image_files(name)
    with quiet():
        counts = training_counts_from_yolo(dataset)
    instances = tuple(counts.instances) if counts is not None else ()
    return Split(name, len(files), dataset.names, instances, frequency_buckets("thirds", np.array(instances)))


def claim_folder(plan: Plan, extend: bool = False) -> None:
    """Make `plan.out` the folder of this comparison, or refuse it as `check_folder` does.

    Raises:
        DataError: also where the folder cannot be written.
    """
    check_folder(plan, extend)
    try:
        write_json(plan.out / IDENTITY, plan.identity())
    except OSError as error:
        raise DataError(f"cannot write to {plan.out} ({error.strerror}); name a folder you may write to") from error


def check_folder(plan: Plan, extend: bool = False) -> None:
    """Check that `plan.out` is the folder of this comparison or can become it; writes nothing.

    Args:
        plan: the comparison.
        extend: whether seeds and configurations may be more than those the folder has.

    Raises:
        DataError: the folder holds another comparison, with the arguments that differ; or something else altogether.
    """
    path = plan.out / IDENTITY
    if path.exists():
        try:
            now = json.loads(json.dumps(plan.identity()))
            before = (
                {name: now[name] for name in _COUNTED}
                | {"measured_with": {}}
                | json.loads(path.read_text(encoding="utf-8"))
            )
            differences = _differences(_extended(before, now) if extend else before, now)
        except (ValueError, AttributeError, KeyError, TypeError) as error:
            raise DataError(f"{path} is not the record of a comparison; name a new out= folder") from error
        if differences:
            raise DataError(
                f"{plan.out} holds another comparison: {'; '.join(differences)}; name a new out= folder, or repeat the "
                "arguments it was started with (extend=True adds seeds and losses)"
            )
    elif plan.out.exists() and (not plan.out.is_dir() or any(each.name != LOCK for each in plan.out.iterdir())):
        raise DataError(f"the output folder {plan.out} is not empty and holds no comparison; name a new out= folder")


def _extended(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """`before` with the seeds and configurations of `now`, where those contain its own."""
    extended = dict(before)
    if set(before["seeds"]) <= set(now["seeds"]):
        extended["seeds"] = now["seeds"]
    if before["configurations"].items() <= now["configurations"].items():
        extended["configurations"] = now["configurations"]
    return extended


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} was {before.get(name, 'not given')}, is now {now.get(name, 'not given')}"
        for name in dict.fromkeys([*before, *now])
        if before.get(name) != now.get(name)
    ]
