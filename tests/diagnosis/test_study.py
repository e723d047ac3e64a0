"""What doctor says of the study is what its raw results say."""

import json
from pathlib import Path
from statistics import mean

from yolo_focal.comparison.configurations import parse_configurations
from yolo_focal.diagnosis.study import NMS_FREE_POINTS, RARE_AP_POINTS, RARE_THIRD_POINTS

EVIDENCE = Path(__file__).parents[2] / "docs/evidence"


def results():
    """Study, configuration and its results, of all studies."""
    for file in sorted(EVIDENCE.glob("*/summary.json")):
        for name, found in json.loads(file.read_text(encoding="utf-8"))["configurations"].items():
            yield file.parent.name, name, found["results"]


def test_the_gains_of_the_recipe_for_rare_classes():
    """Least and most over the studies that train from scratch, in whole points."""
    gains = [found for study, name, found in results() if name == "rare" and not study.endswith("-anchor")]
    for metric, stated in (("AP", RARE_AP_POINTS), ("AP rare", RARE_THIRD_POINTS)):
        points = [round(100 * found[metric]["difference"]) for found in gains]
        assert len(points) >= 6 and (min(points), max(points)) == stated


def test_no_focal_loss_was_better_than_bce():
    """Without the recipe for rare classes and without class weights; several of them were worse."""
    verdicts = []
    for _, name, found in results():
        (configuration,) = [each for each in parse_configurations(name) if each.name == name]
        focal = configuration.focal
        alone = focal is not None and focal.loss != "bce" and not any("rare" in key for key in configuration.arguments)
        verdicts += [found["AP"]["verdict"]] if alone else []
    assert len(verdicts) > 30 and "better" not in verdicts and "worse" in verdicts


def test_focal_loss_on_the_branch_without_nms():
    """So many points below BCE in both end-to-end models, over the seeds."""
    files = list(EVIDENCE.glob("*/nms_free.jsonl"))
    for file in files:
        rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        bce, focal = ([row["AP"] for row in rows if row["configuration"] == name] for name in ("bce", "focal"))
        assert round(100 * (mean(bce) - mean(focal))) == NMS_FREE_POINTS
    assert len(files) == 2
