"""Sentences of the documentation that quote the study hold what its raw results say."""

import functools
import json
import math
import re
from pathlib import Path
from statistics import fmean, quantiles, stdev

import pytest

from yolo_focal.comparison.statistics.student_t import student_critical, student_quantile
from yolo_focal.comparison.statistics.verdicts import AP_SHARE, LEVEL, POWER

ROOT = Path(__file__).parents[1]


@functools.cache
def summary_of(study):
    """What `compare` found."""
    return json.loads((ROOT / "docs/evidence" / study / "summary.json").read_text(encoding="utf-8"))


def points(study, configuration="rare", metric="AP", part="difference"):
    """The difference to BCE, or a bound of its interval, in points of AP."""
    return 100 * summary_of(study)["configurations"][configuration]["results"][metric][part]


def bce(study):
    """Its AP."""
    return summary_of(study)["baseline"]["AP"]


def ap(study, configuration="rare"):
    """Of a configuration."""
    return summary_of(study)["configurations"][configuration]["results"]["AP"]["mean"]


def all_and_rare(study, configuration="rare"):
    """Of AP, and of AP of the rare third of the classes."""
    return [points(study, configuration, metric) for metric in ("AP", "AP rare")]


def with_interval(study, configuration="rare", metric="AP"):
    """The difference and the bounds of its interval, the one nearer to zero first."""
    bounds = [points(study, configuration, metric, part) for part in ("low", "high")]
    return [points(study, configuration, metric), *sorted(bounds, key=abs)]


def scale(study):
    """Focal loss at the published scale, and with the gain per batch."""
    return [points(study, "focal:fl_gain=1"), points(study, "focal")]


def least_and_most(suffix):
    """What the losses lose on the built-in set."""
    lost = [-points("shapes", loss + suffix) for loss in ("focal", "vfl", "qfl", "mal", "asl", "poly")]
    return [min(lost), max(lost)]


def between(study, first, second, file="trials.jsonl"):
    """The mean over seeds of how many points `first` is above `second`, and the bounds of Student's interval."""
    ap = points_of_trials(study, file)
    return mean_and_bounds([ap[first, seed] - ap[second, seed] for name, seed in ap if name == first])


def points_of_trials(study, file="trials.jsonl"):
    """Points of AP by configuration and seed."""
    lines = (ROOT / "docs/evidence" / study / file).read_text(encoding="utf-8").splitlines()
    return {(row["configuration"], row["seed"]): 100 * row.get("stats", row)["AP"] for row in map(json.loads, lines)}


def mean_and_bounds(differences):
    """The mean and the bounds of Student's interval, the one nearer to zero first."""
    half = student_critical(0.05, len(differences) - 1) * stdev(differences) / len(differences) ** 0.5
    return [fmean(differences), *sorted([fmean(differences) - half, fmean(differences) + half], key=abs)]


def gained_by_bce(shorter, longer):
    """The mean over the seeds of both lengths of how many points longer training gave it, and Student's interval."""
    before, after = (points_of_trials(study) for study in (shorter, longer))
    return mean_and_bounds([after[key] - before[key] for key in after.keys() & before.keys() if key[0] == "bce"])


def without_nms(study, configuration):
    """How it differs from BCE on the other branch of an end-to-end head."""
    return between(study, configuration, "bce", "nms_free.jsonl")


def seeds_for_one_point():
    """With which one point of AP is likely seen, images aside: median and third quartile over all differences."""
    needed = []
    for file in (ROOT / "docs/evidence").glob("*/trials.jsonl"):
        ap = points_of_trials(file.parent)
        for name in {name for name, _ in ap} - {"bce"}:
            spread = stdev(ap[name, seed] - ap["bce", seed] for other, seed in ap if other == name)
            needed.append(next(n for n in range(2, 10_000) if least_seen(n) * spread / n**0.5 <= 1))
    return quantiles(needed, n=4)[1:]


def least_seen(seeds):
    """In standard errors: what is shown at the level of AP, and as much more as the power asks for."""
    return student_critical(LEVEL * AP_SHARE, seeds - 1) + student_quantile(POWER, math.inf)


EVIDENCE = "docs/evidence.md"
_GAIN, *_BOUNDS = between("shapes", "focal", "focal:fl_gain=1")
_OF_SCALE = [_GAIN, points("shapes", "focal:fl_gain=1"), *_BOUNDS]
_SGD = "shapes-sgd"
_YOLO26, _YOLOV10 = "shapes-end2end", "shapes-end2end-v10"
_ANCHOR_3X, _ANCHOR_6X, _ANCHOR_12X, _PASTE = *(f"bccd-anchor-{n}x" for n in (3, 6, 12)), "bce:rare_paste=0.5"
_ANCHOR, _CLASSES = "bccd-anchor-new-seeds", "focal:fl_scope=cls"
_PUBLISHED = [  # points below BCE at the published scale: on the built-in set from and to, with SGD, on TXL-PBC
    *least_and_most(":fl_gain=1"),
    *(-points(_SGD, f"{loss}:fl_gain=1") for loss in ("focal", "qfl")),
    -points("txl", "focal:fl_gain=1"),
]
_PER_BATCH = [*least_and_most(""), -points(_SGD, "focal")]  # with the gain per batch: from, to, and with SGD
CLAIMS = [  # a page, a sentence with # for every number, and the numbers
    (
        "README.md",
        "# points of AP and # on the rare third of the built-in set, # and # with twelve times the epochs; "
        "# and # on blood cells, # and # with six",
        [*all_and_rare("shapes"), *all_and_rare("shapes-12x"), *all_and_rare("txl"), *all_and_rare("txl-6x")],
    ),
    (EVIDENCE, "On the built-in set AP gains # points and the rare third #", all_and_rare("shapes")),
    (EVIDENCE, "a real set, # and #", all_and_rare("txl")),
    (
        EVIDENCE,
        "On two smaller real sets the rarest class gains # to # points",
        [points("bccd", "bce:rare_paste=0.5", "AP rare"), points("masks", metric="AP rare")],
    ),
    (EVIDENCE, "The frequent third loses # points", [points("shapes", metric="AP frequent")]),
    (EVIDENCE, "TXL-PBC, # and #. Shown", all_and_rare("txl")),
    (EVIDENCE, "`cls_pw=0.5`: # points of AP and # on the rare third", all_and_rare("shapes", "cls_pw:cls_pw=0.5")),
    (EVIDENCE, "the frequent third loses # by them as well", [points("shapes", "cls_pw:cls_pw=0.5", "AP frequent")]),
    (EVIDENCE, "Focal losses: # to # points below BCE at their published scale", [*_PUBLISHED[:1], *_PUBLISHED[2:3]]),
    (EVIDENCE, "because of it; # to # below with the gain per batch", [*_PER_BATCH[:1], *_PER_BATCH[2:]]),
    (EVIDENCE, "At their published scale the losses are # to # points below BCE here", _PUBLISHED[:2]),
    (EVIDENCE, "focal loss is # below and quality focal loss #, and on", _PUBLISHED[2:4]),
    (EVIDENCE, "focal loss #, all three shown", _PUBLISHED[4:]),
    (
        EVIDENCE,
        "The recipe gains # points (# to #), shown, and the published scale loses more than with AdamW: focal loss is "
        "# points below BCE (# to #) and quality focal loss # (# to #)",
        [each for name in ("rare", "focal:fl_gain=1", "qfl:fl_gain=1") for each in with_interval(_SGD, name)],
    ),
    (EVIDENCE, "focal loss stays # points below BCE (# to #), a hint", with_interval(_SGD, "focal")),
    (EVIDENCE, "on top of the recipe takes # points from it (# to #), shown", between(_SGD, "rare-focal", "rare")),
    (
        EVIDENCE,
        "the recipe takes # points from it on the built-in set and with SGD #",
        [between(study, "rare-focal", "rare")[0] for study in ("shapes", _SGD)],
    ),
    (
        EVIDENCE,
        "they are # to # points below here, focal with SGD #, hints, and focal after 36 epochs #",
        [*_PER_BATCH, points("shapes-3x", "focal")],
    ),
    (EVIDENCE, "are below BCE (focal -# and -#)", [each / 100 for each in scale("shapes")]),
    (EVIDENCE, "for focal # of the # points (# to #)", _OF_SCALE),
    (EVIDENCE, "on top of it takes # points away (# to #)", between("shapes", "rare-focal", "rare")),
    (
        EVIDENCE,
        "the rare third #, and # and # with twelve times",
        [*all_and_rare("shapes")[1:], *all_and_rare("shapes-12x")],
    ),
    (EVIDENCE, "a real set, # and #, and # and # with six times", [*all_and_rare("txl"), *all_and_rare("txl-6x")]),
    (EVIDENCE, "stays below it: # points after 36 epochs (# to #), shown,", with_interval("shapes-3x", "focal")),
    (EVIDENCE, "shown, and # after 72 (# to #)", with_interval("shapes-6x", "focal")),
    (EVIDENCE, "focal alone is # points below BCE after 36 epochs", [points("txl-3x", "focal")]),
    (
        EVIDENCE,
        "(# after 36 epochs, BCE # after 72; # after 72, BCE # after 144)",
        [ap("shapes-3x"), bce("shapes-6x"), ap("shapes-6x"), bce("shapes-12x")],
    ),
    (
        EVIDENCE,
        "both branches is # points below BCE on YOLO26n (# to #) and # on YOLOv10n (# to #), hints",
        [each for model in (_YOLO26, _YOLOV10) for each in with_interval(model, "focal")],
    ),
    (
        EVIDENCE,
        "both branches is # points below BCE on YOLO26n (# to #) and # on YOLOv10n (# to #), hints on both models",
        [each for model in (_YOLO26, _YOLOV10) for each in without_nms(model, "focal")],
    ),
    (
        EVIDENCE,
        "on one2one alone # (-# to #) and # (-# to #)",
        [each for model in (_YOLO26, _YOLOV10) for each in without_nms(model, "focal:fl_branch=one2one")],
    ),
    (EVIDENCE, "# points on YOLO26n, # on YOLOv10n", [points(_YOLO26), points(_YOLOV10)]),
    (
        EVIDENCE,
        "Focal loss on both criteria is # points above BCE (# to #), and with gamma 2 it is # (# to #)",
        [*with_interval(_ANCHOR, "focal"), *with_interval(_ANCHOR, "focal:fl_gamma=2")],
    ),
    (
        EVIDENCE,
        "On objectness alone nothing changes (# below, -# to #)",
        with_interval(_ANCHOR, "focal:fl_scope=obj")[:1] + with_interval(_ANCHOR, "focal:fl_scope=obj")[:0:-1],
    ),
    (EVIDENCE, "both criteria are # above that (# to #), shown", between(_ANCHOR, "focal", "focal:fl_scope=obj")),
    (
        EVIDENCE,
        "with it alone red cells gain # points (# to #), shown, and AP # (-# to #)",
        [*with_interval(_ANCHOR, _CLASSES, "AP RBC"), *with_interval(_ANCHOR, _CLASSES)],
    ),
    (EVIDENCE, "gains # points of AP by it, and # on platelets", all_and_rare(_ANCHOR_3X, _PASTE)),
    (EVIDENCE, "# and # after 240, a hint", all_and_rare(_ANCHOR_12X, _PASTE)),
    (
        EVIDENCE,
        "pasting is # points above BCE (# to #), and # on platelets (# to #), both shown",
        [*with_interval(_ANCHOR_3X, _PASTE), *with_interval(_ANCHOR_3X, _PASTE, "AP Platelets")],
    ),
    (EVIDENCE, "is # points below BCE after 60 (-# to #)", with_interval(_ANCHOR_3X, "focal")),
    (EVIDENCE, "After 120 it is # above (-# to #)", with_interval(_ANCHOR_6X, _PASTE)),
    (EVIDENCE, "after 240 # (-# to #)", with_interval(_ANCHOR_12X, _PASTE)),
    (EVIDENCE, "with # on platelets (# to #), a hint", with_interval(_ANCHOR_12X, _PASTE, "AP Platelets")),
    (EVIDENCE, "the second 60 epochs gave BCE # points (# to #)", gained_by_bce(_ANCHOR_3X, _ANCHOR_6X)),
    (EVIDENCE, "the 120 after them # (-# to #), which is not told", gained_by_bce(_ANCHOR_6X, _ANCHOR_12X)),
    ("docs/which.md", "fine-tuned on blood cells, # points of AP and # on platelets", all_and_rare(_ANCHOR_3X, _PASTE)),
    ("docs/rare.md", "gained # points and # on platelets after 60 epochs", all_and_rare(_ANCHOR_3X, _PASTE)),
    ("docs/rare.md", "shown, and # and # after 240, not told", all_and_rare(_ANCHOR_12X, _PASTE)),
    (EVIDENCE, "hinted at one after 20 epochs, # points above BCE (# to #)", with_interval(_ANCHOR, "focal")),
    (
        "docs/explanation/certainty.md",
        "would need some # seeds to see it, and a quarter more than #",
        seeds_for_one_point(),
    ),
    (EVIDENCE, "and adds # on face masks (# to #)", between("masks", "rare-focal", "rare")),
    ("docs/which.md", "`fl_gain=auto` was # points of AP above BCE over 20 seeds", [points(_ANCHOR, "focal")]),
    ("docs/anchor_detector.md", "criteria is # points of mAP50-95 above BCE (# to #)", with_interval(_ANCHOR, "focal")),
    ("docs/rare.md", "gained # points of AP on the built-in set and # on the rare third", all_and_rare("shapes")),
    ("docs/rare.md", "pasting alone # and #", all_and_rare("shapes", "bce:rare_paste=0.5")),
    ("docs/rare.md", "drawing alone # and #", all_and_rare("shapes", "bce:rare_sampling=auto")),
    ("docs/rare.md", "(`cfg=rare-focal`) gained no more: # and #", all_and_rare("shapes", "rare-focal")),
    ("docs/rare.md", "TXL-PBC the gain was # points, and # on platelets", all_and_rare("txl")),
    ("docs/training.md", "it is # points of AP below BCE at the published scale and # with `auto`", scale("shapes")),
    ("docs/training.md", "beside the published scale gains # points (# to #)", [_GAIN, *_BOUNDS]),
    ("docs/training.md", "and # (# to #) on the blood cells", between("txl", "focal", "focal:fl_gain=1")),
    ("docs/explanation/scale.md", "The difference between the two, # points (# to #)", [_GAIN, *_BOUNDS]),
    (
        "docs/explanation/scale.md",
        "focal loss is # points of AP below BCE at its published scale (`fl_gain=1`) and # with `fl_gain=auto`",
        scale("shapes"),
    ),
    (
        "cfg/hyp/yolov5-classic.yaml",
        "below BCE in every training from scratch, by # to # points of AP",
        sorted((scale(study)[0] for study in ("shapes", "shapes-sgd", "txl")), key=abs)[::2],
    ),
]


@pytest.mark.parametrize(("page", "sentence", "expected"), CLAIMS)
def test_a_sentence_holds_what_the_raw_results_say(page, sentence, expected):
    """Each number is rounded to the decimals that stand there; signs are said in words."""
    text = re.sub(r"[\s#]+", " ", (ROOT / page).read_text(encoding="utf-8"))
    found = re.search(re.escape(sentence).replace(r"\#", r"(\d+(?:\.\d+)?)"), text)
    assert found, f"{page} does not say: {sentence}"
    decimals = [len(stated.partition(".")[2]) for stated in found.groups()]
    assert list(found.groups()) == [f"{abs(value):.{n}f}" for value, n in zip(expected, decimals, strict=True)]
