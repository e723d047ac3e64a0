"""`yolo-focal demo`: the main job on built-in data, offline: BCE, focal loss, rare classes shown more often."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yolo_focal
from yolo_focal.arguments.focal import FocalConfig, focal_keys, read_config
from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.arguments.output import take_output
from yolo_focal.console import conclude, say
from yolo_focal.errors import ConfigError
from yolo_focal.evaluation.evaluation import Evaluation
from yolo_focal.evaluation.model import evaluate_model
from yolo_focal.evaluation.side_by_side import Row, markdown_table, plain_table, plot_classes, side_by_side
from yolo_focal.files import write_text
from yolo_focal.ultra.drivers.check_before_run import check_before_run
from yolo_focal.ultra.drivers.load_model import load_to_compare
from yolo_focal.ultra.drivers.quiet_training import TrainedModel, train_quietly
from yolo_focal.ultra.hooks.checkpoints import safe_loading
from yolo_focal.ultra.logger import warnings_only
from yolo_focal.ultra.training import check_training

__all__ = ["run"]


_NEXT = "yolo-focal doctor model=yolo11n.pt data=DATA.yaml"
_MEANING = {"focal": "the focal loss", "rare": "BCE and rare classes shown more often"}
_SEEDS_DIFFER = "five seeds of BCE alone, at the default settings, differ by 0.03 AP"  # docs/explanation/certainty.md


def run(arguments: dict[str, Any]) -> int:
    """Train, evaluate, print one table, and write report.md and classes.png."""
    chosen = {name: arguments[name] for name in focal_keys(arguments)}
    config = read_config({"focal": True, **chosen})
    assert config is not None
    with safe_loading(arguments["trust"]):
        check_before_run(arguments)
        yolo_focal.enable()
        model = load_to_compare(arguments["model"]).model
        check_training(model, {"data": arguments["data"], "focal": True, **chosen})  # before BCE is trained beside it
        out = take_output("demo", arguments).path
        started = time.perf_counter()
        trained = _train(arguments, chosen, out)
        evaluations = _evaluate(arguments, trained)
    _report(out, arguments, config, trained, evaluations, time.perf_counter() - started)
    return 0


def _train(arguments: dict[str, Any], chosen: dict[str, Any], out: Path) -> dict[str, TrainedModel]:
    """BCE, focal loss with what was chosen, and rare classes shown more often, if there are any."""
    settings = {name: arguments[name] for name in ("data", "epochs", "imgsz", "batch", "seed", "device")}
    runs = {"BCE": {"focal": False}, "focal": {"focal": True, **chosen}, "rare": read_hyp(find_hyp("rare"))}
    trained: dict[str, TrainedModel] = {}
    for name, extra in runs.items():
        try:
            trained[name] = train_quietly(
                arguments["model"], out / name.lower(), f"{name:>5}", _recipe(settings) | extra
            )
        except ConfigError as error:
            if name != "rare":
                raise
            say(f"without the training of rare classes: {error}")  # nothing is rare in this data
        except KeyboardInterrupt as interruption:
            kept = f"{', '.join(trained)} in {out} is kept" if trained else "nothing was finished"
            raise KeyboardInterrupt(f"{kept}; the same command again starts afresh") from interruption
    return trained


def _evaluate(arguments: dict[str, Any], trained: dict[str, TrainedModel]) -> dict[str, Evaluation]:
    given = {name: arguments[name] for name in ("imgsz", "device")}
    with warnings_only():
        return {
            name: evaluate_model(each.checkpoint, arguments["data"], **given).evaluation
            for name, each in trained.items()
        }


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
    compared = f"BCE, {config}" + (", rare classes shown more often" if "rare" in trained else "")
    title = f"{what}, seed {arguments['seed']}"
    plot_classes(out / "classes.png", evaluations, f"{title}\n{compared}")
    verdict = _verdict(rows[0], names, arguments["data"] == "shapes")
    times = ", ".join(f"{name} {each.seconds:.0f} s" for name, each in trained.items())
    write_text(
        out / "report.md",
        f"# {compared}\n\n{title}; trained in {times}.\n\n"
        f"{markdown_table(names, rows)}\n\n![AP per class](classes.png)\n\n{verdict}\n\n"
        "AP is COCO's, over IoU 0.50:0.95, by the rules of pycocotools, on the validation split, with the weights "
        "after the last epoch. Rare, common and frequent are thirds of the classes by training instances.\n",
    )
    last = f"{seconds:.0f} s in all; report, picture and the runs: {out}"
    lines = ["", f"{title}: {compared}", "", plain_table(names, rows), "", verdict, "", last]
    conclude("\n".join([*lines, f"Next, on data of your own: {_NEXT}"]), last)


def _verdict(overall: Row, names: Sequence[str], builtin: bool) -> str:
    bce, *others = overall.values
    found = [f"AP {bce:.3f} with BCE"]
    found += [f"{ap:.3f} ({ap - bce:+.3f}) with {_MEANING[name]}" for name, ap in zip(names[1:], others, strict=True)]
    noise = f": {_SEEDS_DIFFER}" if builtin else ""
    return (
        f"{', '.join(found)}. This is one seed and a short training, and smaller differences are not to be trusted"
        f"{noise}. `yolo-focal compare` takes several seeds and says how sure it is."
    )
