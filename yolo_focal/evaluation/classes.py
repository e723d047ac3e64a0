"""Which class of a dataset each class of a model is: decided by name, since equal indices do not mean equal classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from yolo_focal.errors import DataError
from yolo_focal.evaluation.boxes import Ints

__all__ = ["ClassMatch", "ClassRule", "match_classes"]

ClassRule = Literal["match", "known", "index"]


@dataclass(frozen=True, eq=False)
class ClassMatch:
    """How the classes of a model map to those of a dataset.

    Attributes:
        index: (model classes,) the dataset's class index, -1 where the dataset has no such class.
        same_order: whether every common class has the same index on both sides.
        not_predicted: classes of the dataset that the model does not know; all their objects count as missed.
        not_in_dataset: classes of the model that the dataset does not have; their detections are left out.
    """

    index: Ints
    same_order: bool
    not_predicted: tuple[str, ...]
    not_in_dataset: tuple[str, ...]


def match_classes(
    model_names: Sequence[str],
    dataset_names: Sequence[str],
    rule: ClassRule = "match",
    *,
    sides: tuple[str, str] = ("the model", "the dataset"),
    by_number: bool = True,
) -> ClassMatch:
    """Map the classes of a model to those of a dataset.

    Names are compared without regard to case, and with spaces, hyphens and underscores taken for one another.

    Args:
        model_names: by class index of the model.
        dataset_names: by class index of the dataset.
        rule: `match` or `known`: by name; `index`: by number, where the names differ on purpose.
        sides: what the two are called in messages.
        by_number: whether these may advise to use `index`.

    Raises:
        DataError: no class in common by name, a name that several classes share, or numbers of classes that differ
            under `index`.
    """
    ours, theirs = [_plain(name) for name in model_names], [_plain(name) for name in dataset_names]
    if ours == theirs:
        return ClassMatch(np.arange(len(ours)), True, (), ())
    if rule == "index":
        if len(ours) != len(theirs):
            raise DataError(
                f"classes=index needs as many classes on both sides, got {len(ours)} in {sides[0]} and {len(theirs)} "
                f"in {sides[1]}; use classes=match"
            )
        return ClassMatch(np.arange(len(ours)), True, (), ())
    for names, side in zip((ours, theirs), sides, strict=True):
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            way_out = " or use classes=index" if by_number else ""
            raise DataError(f"several classes of {side} are called '{repeated[0]}'; rename them{way_out}")
    place = {name: index for index, name in enumerate(theirs)}
    index = np.array([place.get(name, -1) for name in ours], dtype=np.int64)
    if (index < 0).all():
        way_out = ", or use classes=index if only the names differ" if by_number else ""
        raise DataError(
            f"the classes of {sides[0]} ({_some(model_names)}) and of {sides[1]} ({_some(dataset_names)}) have no name "
            f"in common; give two that belong together{way_out}"
        )
    known = set(ours)
    return ClassMatch(
        index=index,
        same_order=bool((index[index >= 0] == np.flatnonzero(index >= 0)).all()),
        not_predicted=tuple(name for name, plain in zip(dataset_names, theirs, strict=True) if plain not in known),
        not_in_dataset=tuple(name for name, found in zip(model_names, index, strict=True) if found < 0),
    )


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
