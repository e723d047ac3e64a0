"""`yolo-focal demo`: the main job on built-in data, offline: train BCE and focal, evaluate both, report."""

import time
from pathlib import Path
from typing import Any

from yolo_focal.arguments.focal import FocalConfig, focal_keys, read_config
from yolo_focal.evaluation.evaluation import Evaluation
from yolo_focal.evaluation.model import evaluate_model
from yolo_focal.evaluation.side_by_side import Row, markdown_table, plain_table, plot_classes, side_by_side
from yolo_focal.files import numbered_folder, write_text
from yolo_focal.ultra.drivers.quiet_training import TrainedModel, train_quietly

__all__ = ["run"]


def run(arguments: dict[str, Any]) -> int:
    """Train, evaluate, print one table, and write report.md and classes.png."""
    chosen = {name: arguments[name] for name in focal_keys(arguments)}
    config = read_config({"focal": True, **chosen})
    assert config is not None
    out = numbered_folder(Path(arguments["out"]))
    started = time.perf_counter()
    settings = {name: arguments[name] for name in ("data", "epochs", "imgsz", "batch", "seed", "device")}
    trained: dict[str, TrainedModel] = {}
    for name, extra in {"BCE": {"focal": False}, "focal": {"focal": True, **chosen}}.items():
        trained[name] = train_quietly(arguments["model"], out / name.lower(), f"{name:>5}", _recipe(settings) | extra)
    evaluations = {
        name: evaluate_model(
            each.checkpoint, arguments["data"], imgsz=arguments["imgsz"], device=arguments["device"]
        ).evaluation
        for name, each in trained.items()
    }
    _report(out, arguments, config, trained, evaluations, time.perf_counter() - started)
    return 0


def _recipe(settings: dict[str, Any]) -> dict[str, Any]:
    """From scratch to useful in a few epochs: a step per batch, mild augmentation, no validation on the way.

    The weights after the last epoch are what is evaluated, so nothing is chosen on the evaluated split.
    """
    optimiser = {"optimizer": "AdamW", "lr0": 0.002, "momentum": 0.9, "warmup_epochs": 1, "warmup_bias_lr": 0.0}
    augmentation = {"mosaic": 0.0, "close_mosaic": 0, "scale": 0.2, "hsv_h": 0.0, "hsv_s": 0.2, "hsv_v": 0.2}
    return {**settings, **optimiser, **augmentation, "nbs": settings["batch"], "val": False, "plots": False}


def _report(
    out: Path,
    arguments: dict[str, Any],
    config: FocalConfig,
    trained: dict[str, TrainedModel],
    evaluations: dict[str, Evaluation],
    seconds: float,
) -> None:
    names, rows = list(evaluations), side_by_side(evaluations)
    what = f"{arguments['model']} on {arguments['data']}, {arguments['epochs']} epochs at {arguments['imgsz']} px"
    plot_classes(out / "classes.png", evaluations, f"{what}, seed {arguments['seed']}: BCE against {config}")
    verdict = _verdict(rows[0], config)
    times = ", ".join(f"{name} {each.seconds:.0f} s" for name, each in trained.items())
    write_text(
        out / "report.md",
        f"# BCE against {config}\n\n{what}, seed {arguments['seed']}; trained in {times}.\n\n"
        f"{markdown_table(names, rows)}\n\n![AP per class](classes.png)\n\n{verdict}\n\n"
        "AP is COCO's, over IoU 0.50:0.95, by the rules of pycocotools, on the validation split, with the weights "
        "after the last epoch. Rare, common and frequent are thirds of the classes by training instances.\n",
    )
    print(f"\n{what}, seed {arguments['seed']}: BCE against {config}\n\n{plain_table(names, rows)}\n\n{verdict}")
    print(f"\n{seconds:.0f} s in all; report, picture and both runs: {out}")


def _verdict(overall: Row, config: FocalConfig) -> str:
    bce, focal = overall.values
    outcome = "Focal is ahead" if focal > bce else "BCE is ahead" if bce > focal else "Neither is ahead"
    sentences = [
        f"{outcome}: AP {focal:.3f} with focal, {bce:.3f} with BCE.",
        "This is one seed and a short training; `yolo-focal compare` takes several seeds and says how sure it is.",
    ]
    if focal < bce and config.gain == 1:
        sentences.append(
            "Focal's class loss is far smaller than BCE's beside the same box loss; `yolo-focal demo fl_gain=auto` "
            "shows what matching its gradient does."
        )
    return " ".join(sentences)
