"""yolo-focal tune: Ultralytics' tuner with the focal arguments in its space; the best values end as a hyp file."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from yolo_focal.commands.arguments import Argument, number, switch
from yolo_focal.files import write_text

if TYPE_CHECKING:
    from yolo_focal.ultra.drivers.tuning import Trial, TuningResult

__all__ = ["ARGUMENTS", "SUMMARY", "passed_through", "run"]

SUMMARY = "search training arguments with Ultralytics' tuner or Ray Tune, the focal ones among them"
ARGUMENTS = (
    Argument("model", None, "architecture or checkpoint that every trial starts from", required=True),
    Argument("data", None, "dataset to train and validate on", required=True),
    Argument("space", "focal", "search space: a YAML file of lines 'key: [low, high]', or a name in cfg/search"),
    Argument("iterations", 30, "number of trials", number(int, 1)),
    Argument("use_ray", False, "Ray Tune, with as many trials at a time as the machine has room for", switch),
    Argument(
        "out", None, "hyperparameter file for the best values; best.yaml in the tuner's folder by default", parse=Path
    ),
)


def passed_through() -> list[str]:
    """The training arguments of Ultralytics and of this plugin, for all trials."""
    import yolo_focal
    from yolo_focal.ultra.drivers.asked_and_used import known_arguments

    yolo_focal.enable()
    return [name for name in known_arguments() if name not in {"mode", "task", *(each.name for each in ARGUMENTS)}]


def run(arguments: dict[str, Any]) -> int:
    """Check everything, search, write the best values and say how to use them.

    Returns:
        0, or 1 where a trial failed.

    Raises:
        YoloFocalError: the space or an argument is wrong; no trial was started.
    """
    import yolo_focal

    yolo_focal.enable()
    from yolo_focal.arguments.hyp import find_hyp, read_hyp
    from yolo_focal.ultra.drivers.search_space import check_space, find_space, read_space
    from yolo_focal.ultra.drivers.tuning import load_for_tuning, tune

    given = {name: value for name, value in arguments.items() if name not in {each.name for each in ARGUMENTS}}
    if given.get("cfg"):
        given = {**read_hyp(find_hyp(given.pop("cfg"))), **given}
    given["data"] = arguments["data"]
    space = read_space(find_space(arguments["space"]))
    check_space(space, given)
    model = load_for_tuning(arguments["model"], space, given)
    result = tune(model, space, arguments["iterations"], given, use_ray=arguments["use_ray"])
    best = result.best
    if best is None:
        print(f"yolo-focal tune: all {len(result.trials)} trials failed; the reason is above", file=sys.stderr)
        return 1
    out: Path = arguments["out"] or result.folder / "best.yaml"
    write_text(out, _hyp_text(result, best))
    print("\n".join(_summary(result, best, out, arguments)))
    return 1 if any(trial.fitness is None for trial in result.trials) else 0


def _hyp_text(result: "TuningResult", best: "Trial") -> str:
    number = result.trials.index(best) + 1
    lines = [
        f"# The best of {len(result.trials)} trials of yolo-focal tune: trial {number}, fitness {best.fitness:.5f}.",
        "# Use:     yolo-focal train model=MODEL data=DATA cfg=THIS_FILE",
        f"# Trials:  {result.folder}",
        "",
    ]
    return "\n".join(lines) + "\n" + yaml.safe_dump(result.hyperparameters, sort_keys=False)


def _summary(result: "TuningResult", best: "Trial", out: Path, arguments: dict[str, Any]) -> list[str]:
    rows = [["trial", "fitness", *best.values]]
    for position, trial in enumerate(result.trials, 1):
        fitness = "failed" if trial.fitness is None else f"{trial.fitness:.5f}"
        rows.append(
            [f"{position}{'*' if trial is best else ''}", fitness, *(f"{each:g}" for each in trial.values.values())]
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "",
        *("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows),
        "",
        f"* the best; written to {out}",
        f"use it: yolo-focal train model={arguments['model']} data={arguments['data']} cfg={out}",
    ]
