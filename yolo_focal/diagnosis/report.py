"""What doctor found, as one page of text and as doctor.json."""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from yolo_focal import __version__
from yolo_focal.data.label_statistics import SplitStatistics
from yolo_focal.data.problem_lines import MOST_PROBLEMS, problem_lines
from yolo_focal.diagnosis.advice import TINY_SIDE, Advice, Examination, network_sides
from yolo_focal.diagnosis.rare_classes import RareClasses
from yolo_focal.foreign_text import printable
from yolo_focal.losses import LOSSES
from yolo_focal.numbers import null_for_nan
from yolo_focal.text_table import aligned
from yolo_focal.ultra.drivers.class_gradients import ClassTerm
from yolo_focal.ultra.drivers.diagnosis import BatchLoss, Diagnosis

__all__ = ["examination_document", "examination_page"]

SCHEMA = 1
WIDTH = 110
MOST_ROWS = 24  # rows of the table; doctor.json has all
# Arrays of a class term that doctor.json has class by class.
_COLUMNS = (
    *("positives", "negatives", "loss_positives", "loss_negatives", "gradient_positives", "gradient_negatives"),
    *("weight_positives", "weight_negatives", "effective_alpha"),
)


def examination_document(
    title: str, arguments: dict[str, Any], it: Examination, advice: Sequence[Advice]
) -> dict[str, Any]:
    """The content of doctor.json; undefined numbers are null."""
    diagnosis, sides = it.diagnosis, network_sides(it.train, it.diagnosis.imgsz)
    return {
        "schema": SCHEMA,
        "yolo_focal": __version__,
        "title": title,
        "arguments": {
            name: value if isinstance(value, int | float | str | list | None) else str(value)
            for name, value in arguments.items()
        },
        "model": {
            "kind": diagnosis.kind,
            "head": diagnosis.head,
            "untrained": diagnosis.fresh,
            "end_to_end": diagnosis.end_to_end,
            "dfl_bins": diagnosis.bins,
        },
        "batch": {"images": diagnosis.images, "objects": diagnosis.objects, "imgsz": diagnosis.imgsz},
        "running": dict(diagnosis.running.branches),
        "soft_minimiser": _minimisers(diagnosis),
        "class_weights_inert": diagnosis.class_weights_inert,
        "losses": [_loss_record(loss, diagnosis.names) for loss in (diagnosis.bce, diagnosis.other)],
        "rare_classes": _rare_record(it.rare, it.train.names),
        "dataset": {
            **{split.split: split.to_json() for split in (it.train, it.val) if split is not None},
            "train_sides_at_imgsz": {
                "median": float(np.median(sides)),
                f"below_{TINY_SIDE:g}_px": int((sides < TINY_SIDE).sum()),
            },
        },
        "advice": [vars(each) for each in advice],
    }


def _loss_record(loss: BatchLoss, names: Sequence[str]) -> dict[str, Any]:
    return {
        "name": loss.name,
        "runs": loss.runs,
        "branches": dict(loss.branches),
        "items": dict(loss.items),
        "matching_gain": loss.matching_gain,
        "gradient_on_negatives": loss.gradient_on_negatives(),
        "terms": {branch: _term_record(term, names) for branch, term in loss.terms.items()},
    }


def _term_record(term: ClassTerm, names: Sequence[str]) -> dict[str, Any]:
    columns = {name: getattr(term, name) for name in _COLUMNS}
    labels = list(names) if len(term.positives) == len(names) else ["object"]
    return {
        "soft_share": term.soft_share,
        "median_target": null_for_nan(term.median_target),
        "classes": [
            {"name": label, **{name: null_for_nan(values[index].item()) for name, values in columns.items()}}
            for index, label in enumerate(labels)
        ],
    }


def _rare_record(rare: RareClasses, names: Sequence[str]) -> dict[str, Any]:
    exposure = rare.exposure
    return {
        "settings": str(rare.config),
        "given": rare.given,
        "refusal": rare.refusal or None,
        "sampling_acts": exposure.sampling_acts if exposure else None,
        "classes": [
            {"name": name, "boxes": int(boxes), "shown": float(shown), "gain": float(gain)}
            for name, boxes, shown, gain in zip(names, exposure.boxes, exposure.after, exposure.gain, strict=True)
        ]
        if exposure
        else [],
    }


def _minimisers(diagnosis: Diagnosis) -> dict[str, str]:
    compared = diagnosis.compared.loss if diagnosis.compared is not None else "vfl"  # RT-DETR's own
    rows = {diagnosis.bce.name: "bce", diagnosis.other.name: compared}
    return {name: LOSSES[row].soft_minimiser for name, row in rows.items()}


def examination_page(title: str, it: Examination, advice: Sequence[Advice]) -> str:
    """Everything worth reading, on one page."""
    sections = [
        ("What runs", _what_runs(it.diagnosis)),
        ("Gradient share in this batch, by class term", _shares(it.diagnosis)),
        ("Classes", _class_table(it)),
        (f"Rare classes, {'as asked' if it.rare.given else 'a suggestion'}", _rare_lines(it)),
        ("Data", _data(it)),
        ("Advice", _advice(advice)),
    ]
    lines = [title, "=" * min(len(title), WIDTH)]
    for heading, content in sections:
        lines += ["", heading, "-" * len(heading), *content]
    return "\n".join(map(printable, lines))


def _wrapped(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent)


def _what_runs(diagnosis: Diagnosis) -> list[str]:
    lines = [f"{branch:<10}  {_shortened(words)}" for branch, words in diagnosis.running.branches.items()]
    if diagnosis.bins is not None:
        lines.append(f"{'boxes':<10}  IoU and DFL over {diagnosis.bins} bins")
        lines += _wrapped(
            f"{'':<10}  DFL, Distribution Focal Loss, is a box regression loss: it is not focal loss, and no fl_* "
            "argument acts on it.",
            " " * 12,
        )
    else:
        lines.append(f"{'boxes':<10}  no DFL in this model (it is a box regression loss, not focal loss)")
    if not diagnosis.other.runs:
        lines += _wrapped(
            f"No focal argument was given. Beside BCE stands what focal=True would train: {diagnosis.other.name}."
        )
    for name, sentence in _minimisers(diagnosis).items():
        lines += _wrapped(f"{_shortened(name)}: {sentence}.", "  ")
    return lines


def _shortened(name: str) -> str:
    """A list of many alphas by its first ones; the table of classes has them all."""
    return re.sub(r"\[((?:[^,\]]+, ){3})[^\]]*, [^\]]*\]", r"[\1...]", name)


def _shares(diagnosis: Diagnosis) -> list[str]:
    rows = [["", "", "positives", "negatives", "loss on pos.", "on neg.", "gradient on pos.", "on neg."]]
    for loss in (diagnosis.bce, diagnosis.other):
        for branch, term in loss.terms.items():
            parts = (term.loss_positives, term.loss_negatives), (term.gradient_positives, term.gradient_negatives)
            shares = [_percent(part.sum(), sum(each.sum() for each in pair)) for pair in parts for part in pair]
            rows.append([branch, loss.label, f"{term.positives.sum():,}", f"{term.negatives.sum():,}", *shares])
    return [
        *aligned(rows, left=2),
        *_wrapped(
            "Gradient: sum of |d total loss / d class logit|, over logits with a target above 0 (positives) and the "
            "others; loss: their parts of the total. Gains, normalisers, class and branch weights included."
        ),
    ]


def _percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _class_table(it: Examination) -> list[str]:
    diagnosis, train, val = it.diagnosis, it.train, it.val
    losses = (diagnosis.bce, diagnosis.other)
    shares = [loss.gradient_by_class() for loss in losses]
    heads = ["class", "train boxes", "images"] + (["val boxes"] if val is not None else [])
    rows = [[*heads, "in batch: BCE", diagnosis.other.label, "pos. / neg.: BCE", diagnosis.other.label]]
    order = np.argsort(-train.instances, kind="stable")
    shown = order if len(order) <= MOST_ROWS else np.r_[order[: MOST_ROWS // 2], order[-MOST_ROWS // 2 :]]
    for index in shown:
        counts = [train.instances[index], train.images_with[index]]
        counts += [val.instances[index]] if val is not None else []
        rows.append(
            [
                train.names[index][:24],
                *(f"{count:,}" for count in counts),
                *(f"{100 * share[index]:.1f} %" for share in shares),
                *(_positives_over_negatives(loss, index) for loss in losses),
            ]
        )
    lines = aligned(rows)
    if len(shown) < len(order):
        lines.insert(1 + MOST_ROWS // 2, f"... {len(order) - len(shown)} more classes are in doctor.json ...")
    explained = (
        f"In batch: the class's share of the gradient, positives and negatives, under BCE and {diagnosis.other.label}; "
        "pos. / neg.: its gradient on positives over that on negatives."
    )
    return [*lines, *_wrapped(explained), *_weights(it, shown)]


def _positives_over_negatives(loss: BatchLoss, index: int) -> str:
    terms = loss.class_terms()
    negatives = sum(float(term.gradient_negatives[index]) for term in terms)
    positives = sum(float(term.gradient_positives[index]) for term in terms)
    if not negatives:
        return "-"
    ratio = positives / negatives
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _weights(it: Examination, shown: np.ndarray) -> list[str]:
    """What an undecided logit weighs in the loss that runs: a sentence, or a table where classes differ."""
    running = it.diagnosis.running
    term = running.class_terms()[0]
    columns = (term.effective_alpha, term.weight_positives, term.weight_negatives)
    meaning = (
        f"the loss that runs, {running.label}, of an undecided (p = 1/2) positive and negative, gain included, plain "
        "BCE being 1; effective alpha: positive / (positive + negative)"
    )
    if all(np.ptp(column) < 1e-9 for column in columns):
        alpha, positives, negatives = (float(column[0]) for column in columns)
        return _wrapped(
            f"Weights of every class: effective alpha {alpha:.3f}, positive {positives:.3g}, negative {negatives:.3g}: "
            f"{meaning}."
        )
    rows = [["class", "effective alpha", "weight pos.", "neg."]]
    for index in shown:
        alpha, positives, negatives = (float(column[index]) for column in columns)
        rows.append([it.train.names[index][:24], f"{alpha:.3f}", f"{positives:.3g}", f"{negatives:.3g}"])
    return ["", *aligned(rows), *_wrapped(f"Weights: {meaning}.")]


def _rare_lines(it: Examination) -> list[str]:
    return [part for line in it.rare.lines(it.train.names) for part in _wrapped(line, "  ") or [""]]


def _data(it: Examination) -> list[str]:
    lines = [line for split in (it.train, it.val) if split is not None for line in _split_lines(split)]
    sides = network_sides(it.train, it.diagnosis.imgsz)
    quartiles = ", ".join(f"{value:.0f}" for value in np.percentile(sides, (25, 50, 75)))
    lines += _wrapped(
        f"At imgsz={it.diagnosis.imgsz} the sides of the training boxes (root of the area) have the quartiles "
        f"{quartiles} px; {_percent((sides < TINY_SIDE).sum(), len(sides))} are below {TINY_SIDE:g} px."
    )
    return lines


def _split_lines(split: SplitStatistics) -> list[str]:
    sizes = ", ".join(f"{count:,} {name}" for name, count in split.size_counts().items())
    lines = _wrapped(
        f"{split.split:<6}{split.images:,} images, {split.images_without_objects:,} without objects "
        f"({split.images_without_label_file:,} without label file), {split.images_dropped:,} dropped; "
        f"{split.instances.sum():,} boxes: {sizes}; imbalance {split.imbalance:.1f}",
        " " * 6,
    )
    if split.problems:
        kinds = ", ".join(f"{count} x {kind}" for kind, count in split.problem_counts().items())
        lines += _wrapped(f"      label problems: {kinds}", " " * 6)
        more = f"... {len(split.problems) - MOST_PROBLEMS} more in doctor.json"
        lines += problem_lines(split.problems, "        ", more)
    return lines


def _advice(advice: Sequence[Advice]) -> list[str]:
    lines = []
    for each in advice:
        lines += _wrapped(f"[{each.recommendation}] {each.topic}: {each.finding}.", "    ")
        lines += textwrap.wrap(
            f"Why: {each.reason}. Do: {each.remedy}.", WIDTH, initial_indent="    ", subsequent_indent="    "
        )
    return lines
