"""What a study is: a file of cfg/study."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from yolo_focal.comparison.configurations import BASELINE
from yolo_focal.errors import ConfigError
from yolo_focal.resources import cfg_file, cfg_names

__all__ = ["Study", "read_studies"]

_OWN = ("pairs", "scores", "shorter", "nms_free", "limit")  # what is asked of one study alone


@dataclass(frozen=True)
class Study:
    """One file of cfg/study.

    Attributes:
        name: of the file.
        title: of its part of the page.
        data: `shapes`, or a path below the folder of the datasets.
        model: that every trial starts from; an architecture, or a path below that folder.
        seeds: number of trainings of each configuration.
        first_seed: of them; a study that confirms another one takes seeds which that one has not had.
        training: arguments that all share.
        questions: configurations by question; every question is answered beside BCE.
        pairs: by question, pairs of configurations, of which the first is answered beside the second.
        metrics: that the tables show; the first one's verdict stands beside them.
        scores: configurations whose scores are examined, before and after calibration.
        shorter: studies with fewer epochs that share configurations, for a plot of AP over epochs.
        nms_free: configurations of an end-to-end model that are evaluated on the branch without NMS, too.
        limit: configurations that are validated with and without NMS's time limit, and the `imgsz` and `batch` sizes.
    """

    name: str
    title: str
    data: str
    model: str
    seeds: int
    training: Mapping[str, Any]
    questions: Mapping[str, Sequence[str]]
    first_seed: int = 0
    pairs: Mapping[str, Sequence[tuple[str, str]]] = field(default_factory=dict)
    metrics: Sequence[str] = ("AP", "AP rare")
    scores: Sequence[str] = ()
    shorter: Sequence[str] = ()
    nms_free: Sequence[str] = ()
    limit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def configurations(self) -> list[str]:
        """All of them, BCE first, each once."""
        return list(dict.fromkeys([BASELINE, *(each for several in self.questions.values() for each in several)]))

    @property
    def seed_range(self) -> range:
        """The seeds of the trainings."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def scaled(self, scale: float) -> "Study":
        """The same study with another number of epochs and seeds, at least one of each."""
        training = {**self.training, "epochs": max(round(self.training["epochs"] * scale), 1)}
        if scale < 1:  # what acts only before the last epochs without mosaic would not act at all
            training = {"close_mosaic": 0, **training}
        seeds = max(math.ceil(self.seeds * min(scale, 1)), 1)
        return dataclasses.replace(self, seeds=seeds, training=training)


def read_studies(only: Sequence[str], scale: float) -> list[Study]:
    """The studies called `only`, or all.

    Raises:
        ConfigError: one that does not exist.
    """
    files = [_study_file(name) for name in only or cfg_names("study")]
    return [Study(name=file.stem, **_content(file)).scaled(scale) for file in files]


def _content(file: Path) -> dict[str, Any]:
    """What a file says; with `like: OTHER`, on top of what that one says of both."""
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    other = content.pop("like", None)
    if other is None:
        return content
    base = {name: value for name, value in _content(_study_file(other)).items() if name not in _OWN}
    return {**base, **content, "training": {**base["training"], **content.get("training", {})}}


def _study_file(name: str) -> Path:
    file = Path(name) if Path(name).is_file() else cfg_file("study", name)
    if file is None:
        raise ConfigError(f"only={name} does not exist; give a YAML file or one of {', '.join(cfg_names('study'))}")
    return file
