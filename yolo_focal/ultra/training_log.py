"""What the plugin did in an epoch, beside the losses in results.csv and in every logger of Ultralytics.

    focal/gain     factor on the loss in the last batch of the epoch
    focal/gamma    gamma of the epoch
    focal/g_C      with fl_loss=efl: |gradient| on positives over that on negatives of class C, so far
    focal/alpha_C  with fl_alpha=auto: alpha of class C
    rare/...       see `rare_metrics`
    AP/C           where every epoch is validated: AP50-95 of the boxes of class C, if the validated split has any

With several terms (one2many and one2one, or obj and cls of an anchor detector) each has its own gain and gamma, as in
focal/gain_one2many.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from yolo_focal.arguments.focal import AUTO, read_config
from yolo_focal.arguments.rare import read_rare_config
from yolo_focal.losses import EqualizedFocalLoss
from yolo_focal.ultra import host
from yolo_focal.ultra.class_losses import focal_terms
from yolo_focal.ultra.criteria.schedule import settings_of
from yolo_focal.ultra.hooks.seam import seam, takes
from yolo_focal.ultra.logger import is_main_process
from yolo_focal.ultra.sampling.rare_training import rare_metrics

__all__ = ["SEAMS", "class_ap", "logged_names"]


def logged_names(names: Mapping[int, str]) -> dict[int, str]:
    """Names of classes as every logger and a CSV header take them: letters, digits, `_` and `-`, no two alike."""
    plain = {c: re.sub(r"[^\w-]+", "_", str(name)) for c, name in names.items()}
    counts = Counter(plain.values())
    taken = {name for name, count in counts.items() if count == 1}
    for c, name in plain.items():
        if counts[name] > 1:
            plain[c] = f"{name}_{c}"
            while plain[c] in taken:
                plain[c] += f"_{c}"
            taken.add(plain[c])
    return plain


def _focal_metrics(trainer: Any) -> dict[str, float]:
    """Gain and gamma of every focal term in use, efl's ratios, and the numbers that stand for `fl_alpha=auto`."""
    model = host.unwrap_model(trainer.model)
    names = logged_names(trainer.data["names"]) if "names" in trainer.data else {}
    terms = {n: term for n, term in focal_terms(getattr(model, "criterion", None)).items() if term.gain is not None}
    metrics = {}
    for name, term in terms.items():
        suffix = f"_{name}" if len(terms) > 1 else ""
        metrics[f"focal/gain{suffix}"] = float(term.gain)  # type: ignore[arg-type]
        metrics[f"focal/gamma{suffix}"] = float(term.loss.gamma)
        if isinstance(term.loss, EqualizedFocalLoss) and term.loss.gradients.ratio is not None:
            ratios = term.loss.gradients.ratio.tolist()
            metrics |= {f"focal/g{suffix}_{names[c]}": ratio for c, ratio in enumerate(ratios)}
    settings = settings_of(model)
    if vars(trainer.args).get("fl_alpha") == AUTO and settings is not None and isinstance(settings.alpha, tuple):
        metrics |= {f"focal/alpha_{names[c]}": alpha for c, alpha in enumerate(settings.alpha)}
    return metrics


def _validated_ap(trainer: Any) -> dict[str, float]:
    return class_ap(trainer.validator.metrics) if trainer.args.val else {}


def class_ap(metrics: Any) -> dict[str, float]:
    """AP50-95 of the boxes of each class that the validated split has, by the name under which it is logged."""
    if not isinstance(metrics, host.DetMetrics):  # of a task without boxes
        return {}
    names, ap = logged_names(metrics.names), metrics.box.maps  # those of `metrics` add masks or keypoints
    return {f"AP/{names[int(c)]}": float(ap[c]) for c in np.flatnonzero(metrics.nt_per_class)}


def _acts(trainer: Any) -> bool:
    """Whether a training is one with settings of this plugin, in a process that logs."""
    arguments = vars(trainer.args)
    asked = read_config(arguments) is not None or read_rare_config(arguments) is not None
    return asked and is_main_process()


@seam(
    "BaseTrainer.save_metrics",
    "takes (metrics), a dictionary, and writes it as a row of results.csv before loggers read self.metrics",
    takes("self", "metrics"),
)
def _save_metrics(original: Callable[..., None], self: Any, metrics: dict[str, float]) -> None:
    if not _acts(self):
        return original(self, metrics)
    ours = {**_focal_metrics(self), **rare_metrics(self), **_validated_ap(self)}
    # At the end of the row in every epoch; where an epoch was not validated, those of the one before are there.
    others = {name: value for name, value in metrics.items() if name not in ours}
    self.metrics = {**self.metrics, **ours}  # what loggers are told at the end of the epoch
    return original(self, _in_columns_of(Path(self.csv), {**others, **ours}))


def _in_columns_of(file: Path, row: dict[str, float]) -> dict[str, float]:
    """`row` in the columns of a results.csv that is there: resumed, a training may be validated differently."""
    if not file.exists():
        return row
    with file.open(encoding="utf-8") as lines:
        _, _, *columns = lines.readline().rstrip("\n").split(",")  # epoch and time come first
    return {name: row.get(name, math.nan) for name in columns}


@seam(
    "BaseTrainer.run_callbacks",
    "takes (event); after the last epoch final_eval puts those of best.pt into self.metrics and runs "
    "on_fit_epoch_end, with no row of results.csv",
    lambda function: (
        takes("self", "event")(function) and "run_callbacks" in host.BaseTrainer.final_eval.__code__.co_names
    ),
)
def _run_callbacks(original: Callable[[Any, str], None], self: Any, event: str) -> None:
    if event == "on_fit_epoch_end" and _acts(self):
        self.metrics = {**self.metrics, **_validated_ap(self)}
    original(self, event)


SEAMS = (_save_metrics, _run_callbacks)
