"""What showing rare classes more often would do to this dataset: counted from its labels, before any training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from yolo_focal.arguments.rare import AUTO, RareConfig, read_rare_config
from yolo_focal.data.label_statistics import SplitStatistics
from yolo_focal.errors import ConfigError
from yolo_focal.ultra.sampling.acting_epochs import never_pastes
from yolo_focal.ultra.sampling.crops import LEAST_SIDE
from yolo_focal.ultra.sampling.exposure import Exposure, expected_exposure, exposure_lines
from yolo_focal.ultra.sampling.rare_training import PASTED_TASKS, check_rare_training

__all__ = ["RareClasses", "rare_classes"]

_PRESET = RareConfig(sampling=AUTO, paste=0.5)  # the preset `rare`


@dataclass(frozen=True, eq=False)
class RareClasses:
    """The rare_* settings of an examination.

    Attributes:
        config: those given, or those suggested where none was.
        given: which of the two.
        pastes: whether objects can be pasted for this kind of model.
        exposure: what an epoch shows of each class; None where the settings cannot act.
        refusal: why they cannot; empty where they can.
    """

    config: RareConfig
    given: bool
    pastes: bool
    exposure: Exposure | None
    refusal: str

    @property
    def suggestion(self) -> dict[str, str]:
        """What to add to the arguments of a training; nothing where it was given, or could not act."""
        if self.given or self.exposure is None or not (self.pastes or self.exposure.sampling_acts):
            return {}
        return {"cfg": "rare"} if self.pastes else {"rare_sampling": AUTO}

    def lines(self, names: tuple[str, ...]) -> list[str]:
        """The table of classes, as a training prints it, or the reason why there is none."""
        if self.exposure is None:
            return [self.refusal]
        return exposure_lines(self.exposure, names, self.config, self.pastes)


def rare_classes(train: SplitStatistics, imgsz: int, arguments: Mapping[str, Any], model: Any) -> RareClasses:
    """The settings in `arguments`, or those suggested, on the training split.

    Args:
        train: the training split, with at least one box.
        imgsz: side of the network's input in pixels; an object below 5 pixels there is not pasted.
        arguments: of the training.
        model: what is to be trained.
    """
    config, pastes = read_rare_config(arguments), model.task in PASTED_TASKS
    settings = config or (_PRESET if pastes else RareConfig(sampling=AUTO))
    if config is not None and never_pastes(config, arguments) is not None:
        settings = replace(settings, paste=0.0)
    shorter = train.box_sizes.min(1) * (imgsz / train.image_sizes.max(1))
    can_be_pasted = np.bincount(train.box_classes[shorter >= LEAST_SIDE], minlength=len(train.names)) > 0
    try:
        if config is None:  # what was given has been checked
            asked = {"rare_sampling": settings.sampling, "rare_paste": settings.paste}
            check_rare_training(model, {**arguments, **asked}, len(train.names))
        exposure = expected_exposure(
            train.box_images, train.box_classes, train.images, len(train.names), settings, can_be_pasted
        )
    except ConfigError as error:
        return RareClasses(settings, config is not None, pastes, None, str(error))
    return RareClasses(settings, config is not None, pastes, exposure, "")
