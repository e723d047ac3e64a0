"""`yolo-focal compare`: does another loss help on my data? Paired trainings, intervals, verdicts, a report."""

from pathlib import Path
from typing import Any

from yolo_focal.arguments.focal import KEYS
from yolo_focal.commands.arguments import Argument, choice, number, switch
from yolo_focal.errors import ConfigError

__all__ = ["ARGUMENTS", "SUMMARY", "passed_through", "run"]

SUMMARY = "train losses side by side over several seeds; better, worse or cannot tell, with 95 % intervals"


def seed_list(value: str) -> list[int]:
    """A number of seeds, counted from 0, or the seeds themselves: `3`, `7,8,9`."""
    expected = "how many seeds (>= 1), or a list of different ones >= 0, as in seeds=3 or seeds=7,8,9"
    try:
        numbers = [int(item) for item in value.strip("[]()").split(",") if item.strip()]
    except ValueError:
        raise ValueError(expected) from None
    if not numbers or min(numbers) < 0 or len(set(numbers)) < len(numbers) or numbers == [0]:
        raise ValueError(expected)
    return list(range(numbers[0])) if len(numbers) == 1 else numbers


ARGUMENTS = (
    Argument("data", None, "dataset: a data YAML, or shapes", required=True),
    Argument("model", None, "architecture or checkpoint that every trial starts from", required=True),
    Argument(
        "losses",
        "bce,focal,qfl",
        "configurations: losses, presets, YAML files, cls_pw, or name:fl_gamma=2,fl_alpha=0.5; bce is always there",
    ),
    Argument("seeds", [0, 1, 2], "number of trainings of each, or the seeds themselves", seed_list),
    Argument("epochs", 100, "length of each training", number(int, 1)),
    Argument("imgsz", 640, "side of the network's input in pixels", number(int, 32)),
    Argument("batch", 16, "images per step", number(int, 1)),
    Argument("device", None, "as for yolo: cpu, 0, ...; a GPU where there is one"),
    Argument("split", "val", "split of the data YAML to evaluate on", choice("train", "val", "test")),
    Argument("draws", 1000, "resamples of the images behind each interval", number(int, 100)),
    Argument("engine", "local", "local: one trial at a time; ray: a Ray cluster", choice("local", "ray")),
    Argument("parallel", 2, "engine=ray without a cluster: trials at a time", number(int, 1)),
    Argument("extend", False, "add seeds or losses to the comparison in out=", switch),
    Argument("out", "runs/compare", "folder of the comparison; the same one again continues it"),
)
_NOT_TRAINING = ("data", "model", "losses", "seeds", "split", "draws", "engine", "parallel", "extend", "out")


def passed_through() -> list[str]:
    """Every training argument of Ultralytics that all configurations share: lr0, optimizer, mosaic, val, ..."""
    import yolo_focal
    from yolo_focal.comparison.configurations import SHARED
    from yolo_focal.ultra.drivers.asked_and_used import known_arguments

    yolo_focal.enable()  # so that this plugin's keys are known, and refused with their place
    return [name for name in known_arguments() if name not in SHARED - {"val", "fraction", "deterministic"}]


def run(arguments: dict[str, Any]) -> int:
    """Carry out what is missing, judge, write the report; 1 where a trial failed."""
    _check_keys(arguments)
    from yolo_focal.comparison.configurations import parse_configurations
    from yolo_focal.comparison.engines import ENGINES, check_engine
    from yolo_focal.comparison.plan import make_plan
    from yolo_focal.comparison.report.files import write_report
    from yolo_focal.comparison.runner import run_missing_trials
    from yolo_focal.comparison.summary import summarise

    check_engine(arguments["engine"])
    plan = make_plan(
        out=Path(arguments["out"]),
        data=arguments["data"],
        model=arguments["model"],
        configurations=parse_configurations(arguments["losses"]),
        seeds=arguments["seeds"],
        training={name: value for name, value in arguments.items() if name not in _NOT_TRAINING},
        split=arguments["split"],
    )
    print("\n".join(f"{each.name}: {each}" for each in plan.configurations))
    engine = ENGINES[arguments["engine"]]
    journal = run_missing_trials(plan, lambda trials: engine(trials, arguments["parallel"]), arguments["extend"])
    summary = summarise(plan, journal, arguments["draws"])
    print(write_report(summary))
    return 1 if summary.failed else 0


def _check_keys(arguments: dict[str, Any]) -> None:
    """A setting of the loss for all configurations would also change the baseline: it belongs to one of them."""
    problems = [
        f"{name}={arguments[name]} belongs to a configuration: losses=focal:{name}={arguments[name]}"
        for name in KEYS
        if name in arguments
    ]
    if "cls_pw" in arguments:
        problems.append(f"cls_pw is a configuration of its own: losses=bce,cls_pw:cls_pw={arguments['cls_pw']}")
    if problems:
        raise ConfigError(problems)
