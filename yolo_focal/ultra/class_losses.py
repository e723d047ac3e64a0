"""Where a criterion, of whatever task, has its class losses: Ultralytics' own, or this plugin's in their place."""

from typing import Any, NamedTuple

from yolo_focal.ultra import host
from yolo_focal.ultra.anchor.criterion import AnchorCriterion
from yolo_focal.ultra.criteria.detection import box_criteria
from yolo_focal.ultra.criteria.focal_term import FocalTerm
from yolo_focal.ultra.criteria.softmax import ClassificationCriterion

__all__ = ["OBJECTNESS", "Place", "class_losses", "focal_terms"]

OBJECTNESS = "objectness"  # the branch whose logits have no class


class Place(NamedTuple):
    """The attribute of a criterion, or of one inside it, that is a class loss."""

    owner: Any
    name: str

    @property
    def loss(self) -> Any:
        """What stands there now."""
        return getattr(self.owner, self.name)


def class_losses(criterion: Any) -> dict[str, list[Place]]:
    """The places by branch; none where no class loss is known.

    Branches: `class`; `one2many` and `one2one`; `queries` of RT-DETR, with a loss for batches with objects and perhaps
    one for those without; `objectness` and `class` of an anchor detector.
    """
    if isinstance(criterion, AnchorCriterion):
        return {OBJECTNESS: [Place(criterion, "objectness")], "class": [Place(criterion, "classes")]}
    if isinstance(criterion, host.DETRLoss):
        return {"queries": [Place(criterion, name) for name in ("vfl", "fl") if getattr(criterion, name) is not None]}
    if isinstance(criterion, ClassificationCriterion):
        return {"class": [Place(criterion, "term")]}
    if hasattr(criterion, "ce"):  # of semantic segmentation
        return {"class": [Place(criterion, "ce")]}
    inner = box_criteria(criterion)
    return {branch: [Place(each, "bce")] for branch, each in inner.items() if hasattr(each, "bce")}


def focal_terms(criterion: Any) -> dict[str, FocalTerm]:
    """The terms of a criterion in which a focal loss acts, by their names; of RT-DETR's two, that for objects."""
    found: dict[str, FocalTerm] = {}
    for place in (place for places in class_losses(criterion).values() for place in places):
        if isinstance(place.loss, FocalTerm):
            found.setdefault(place.loss.name, place.loss)
    return found
