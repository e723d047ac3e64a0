"""What changes while a training runs: the epoch, which moves gamma (fl_warmup), and the gain, measured once (auto).

One `Progress` belongs to one training. Its model, the EMA copy that validation uses, and every criterion built for
either hold the same object, so they cannot disagree. It is rebuilt from the training arguments when a run is resumed:
the epoch is the trainer's, and a measured gain stands in `fl_gain` as the number that was used.
"""

import logging
import math
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from yolo_focal.arguments.focal import AUTO, FocalConfig
from yolo_focal.errors import ConfigError
from yolo_focal.ultra.hooks.seam import resolve

__all__ = ["GainMeter", "LARGEST_GAIN", "MEASURED_BATCHES", "Progress", "follow_training", "progress_of"]

MEASURED_BATCHES = 8
# Boxes of a network that has learnt nothing overlap objects so little that targets, and a focal gradient on them, are
# next to nothing: the ratio reaches hundreds, with which the background would drown all else once it has learnt.
LARGEST_GAIN = 32.0


class GainMeter:
    """Ratio of the stock class loss's gradient norm to the new one's, over positives.

    gain = sqrt(sum g_stock^2) / sqrt(sum g_new^2), with g the derivative of the summed, class-weighted loss by a logit.
    The sums run over every (image, anchor, class) whose target is above 0, over all branches of the head, all batches
    seen so far and all ranks of a distributed training. g_new is taken at the full `fl_gamma`, also during `fl_warmup`.
    """

    def __init__(self) -> None:
        self.batches = 0
        self._squares = torch.zeros(2, dtype=torch.float64)
        self._of_this_batch = torch.zeros(2, dtype=torch.float64)

    def observe(self, stock_gradient: Tensor, new_gradient: Tensor) -> None:
        """Add the gradients of one call of a criterion, of any shape, at positives only."""
        squares = torch.stack([gradient.double().square().sum() for gradient in (stock_gradient, new_gradient)])
        self._of_this_batch += squares.cpu()

    def end_batch(self, device: torch.device) -> None:
        """Add this batch of every rank; each rank has to call it after each batch.

        Args:
            device: where the process group can reduce.
        """
        squares = self._of_this_batch.to(device, torch.float32 if device.type == "mps" else torch.float64)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(squares)
        self._of_this_batch = torch.zeros(2, dtype=torch.float64)
        self._squares += squares.double().cpu()
        self.batches += int(squares[0] > 0)

    @property
    def gain(self) -> float:
        """The ratio so far, but LARGEST_GAIN at most."""
        return min(self.ratio, LARGEST_GAIN)

    @property
    def ratio(self) -> float:
        """The ratio so far, to four digits; 1 before the first positive.

        Raises:
            ConfigError: the new loss has no gradient on positives.
        """
        stock, new = self._squares.sqrt().tolist()
        if stock == 0:
            return 1.0
        if new == 0:
            raise ConfigError(
                "fl_gain=auto cannot be measured: the loss has no gradient on positives; raise fl_alpha, lower "
                "fl_gamma, or give fl_gain a number"
            )
        return float(f"{stock / new:.4g}")


class Progress:
    """Where one training stands; outside of a training, gamma is at its full value.

    Attributes:
        epoch: number of the current epoch, the first being 0.
        gain: factor on the class loss.
        meter: measures the gain while that is not settled.
    """

    def __init__(self, config: FocalConfig):
        self.epoch: float = math.inf
        self.gain = 1.0 if isinstance(config.gain, str) else config.gain
        self.meter: GainMeter | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Progress":
        return self  # a copied criterion (EMA) belongs to the same training


_progress: "WeakKeyDictionary[nn.Module, Progress]" = WeakKeyDictionary()


def progress_of(model: nn.Module, config: FocalConfig) -> Progress:
    """That of the training which `model` is in, or a new one."""
    return _progress.get(model) or Progress(config)


def follow_training(trainer: Any, config: FocalConfig) -> None:
    """Let the criteria of the trainer's model and EMA follow its epochs and, for fl_gain=auto, measure the gain.

    To be called when the trainer has built model and EMA, before any criterion is used.
    """
    progress = Progress(config)
    model = resolve("ultralytics.utils.torch_utils:unwrap_model")(trainer.model)
    for trained in (model, trainer.ema.ema):
        _progress[trained] = progress
        if hasattr(trained, "student_model"):  # distillation trains a model inside another
            _progress[trained.student_model] = progress
    if config.gain == AUTO:
        progress.meter = GainMeter()
        trainer.add_callback("on_train_batch_end", lambda trainer: _after_batch(trainer, progress))
        trainer.add_callback("on_train_epoch_end", lambda trainer: _settle(trainer, progress))

    def start_epoch(trainer: Any) -> None:
        progress.epoch = trainer.epoch

    trainer.add_callback("on_train_epoch_start", start_epoch)


def _after_batch(trainer: Any, progress: Progress) -> None:
    if progress.meter is None:
        return
    progress.meter.end_batch(trainer.device)
    progress.gain = progress.meter.gain
    if progress.meter.batches == MEASURED_BATCHES:
        _settle(trainer, progress)


def _settle(trainer: Any, progress: Progress) -> None:
    """Freeze the gain and put it where `auto` stood, so that checkpoints and a resumed run have the number."""
    meter = progress.meter
    if meter is None or meter.batches == 0:
        return  # settled before; or no object seen yet: keep measuring
    progress.meter = None
    trainer.args.fl_gain = progress.gain
    if resolve("ultralytics.utils:RANK") not in {-1, 0}:
        return
    yaml = resolve("ultralytics.utils:YAML")
    file = Path(trainer.save_dir) / "args.yaml"
    yaml.save(file, {**yaml.load(file), "fl_gain": progress.gain})
    batches = f"{meter.batches} batch{'es' if meter.batches > 1 else ''}"
    cut = f", which was {meter.ratio:g}: targets are too small yet to tell" if meter.ratio > progress.gain else ""
    logging.getLogger("ultralytics").info(
        f"focal: fl_gain=auto is {progress.gain:g} from here on: ratio of the stock class loss's gradient norm to the "
        f"new one's on positives, over the first {batches} with objects{cut}"
    )
