"""What a focal loss did in an epoch, beside the losses in results.csv and in every logger of Ultralytics.

    focal/gain     factor on the loss in the last batch of the epoch
    focal/gamma    gamma of the epoch
    focal/g_0      fl_loss=efl: |gradient| on positives over that on negatives of class 0, so far; and so on

With several terms (one2many and one2one, or obj and cls of an anchor detector) each has its own, as in
focal/gain_one2many.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from yolo_focal.losses import EqualizedFocalLoss
from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.criterion import AnchorCriterion
from yolo_focal.ultra.criteria.detection import box_criteria
from yolo_focal.ultra.criteria.focal_term import FocalTerm
from yolo_focal.ultra.criteria.rtdetr import QueryClassCriterion
from yolo_focal.ultra.criteria.softmax import ClassificationCriterion
from yolo_focal.ultra.hooks.seam import Seam

__all__ = ["SEAMS", "epoch_metrics", "focal_terms"]


def focal_terms(criterion: Any) -> dict[str, FocalTerm]:
    """The terms of a criterion in which a focal loss acts, by the name of the branch or of the term."""
    found: dict[str, Any]
    if isinstance(criterion, AnchorCriterion):
        found = {"obj": criterion.objectness, "cls": criterion.classes}
    elif isinstance(criterion, ClassificationCriterion):
        found = {"class": criterion.term}
    elif isinstance(getattr(criterion, "fl", None), QueryClassCriterion):
        found = {"class": criterion.vfl or criterion.fl}
    elif hasattr(criterion, "ce"):
        found = {"class": criterion.ce}
    else:
        found = {branch: getattr(inner, "bce", None) for branch, inner in box_criteria(criterion).items()}
    return {name: term for name, term in found.items() if isinstance(term, FocalTerm)}


def epoch_metrics(criterion: Any) -> dict[str, float]:
    """Gain and gamma of every focal term that has been used, and efl's ratios, by the names of their columns."""
    terms = {name: term for name, term in focal_terms(criterion).items() if term.gain is not None}
    metrics = {}
    for name, term in terms.items():
        suffix = f"_{name}" if len(terms) > 1 else ""
        metrics[f"focal/gain{suffix}"] = float(term.gain)  # type: ignore[arg-type]
        metrics[f"focal/gamma{suffix}"] = float(term.loss.gamma)
        if isinstance(term.loss, EqualizedFocalLoss) and term.loss.gradients.ratio is not None:
            ratios = term.loss.gradients.ratio.tolist()
            metrics |= {f"focal/g{suffix}_{index}": ratio for index, ratio in enumerate(ratios)}
    return metrics


def _wrap_save_metrics(original: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(original)
    def save_metrics(self: Any, metrics: dict[str, float]) -> None:
        model = host.unwrap_model(self.model)
        ours = epoch_metrics(getattr(model, "criterion", None))
        # At the end of the row in every epoch; where an epoch was not validated, those of the one before are there.
        others = {name: value for name, value in metrics.items() if name not in ours}
        self.metrics = {**self.metrics, **ours}  # what loggers are told at the end of the epoch
        original(self, {**others, **ours})

    return save_metrics


SEAMS = (
    Seam(
        owner="BaseTrainer",
        name="save_metrics",
        fact="takes (metrics), a dictionary, and writes it as a row of results.csv before loggers read self.metrics",
        wrap=_wrap_save_metrics,
        holds=lambda function: list(inspect.signature(function).parameters) == ["self", "metrics"],
    ),
)
