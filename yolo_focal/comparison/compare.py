"""A comparison from its arguments to its report: plan, missing trials, findings, files."""

from pathlib import Path
from typing import Any

from yolo_focal.arguments.classic_hyp import refuse_classic
from yolo_focal.arguments.commands import COMMANDS, chosen
from yolo_focal.arguments.focal import KEYS
from yolo_focal.arguments.hyp import find_hyp, read_hyp
from yolo_focal.arguments.passed_on import SHARED_BY_CONFIGURATIONS, is_taken, refuse_other_classes
from yolo_focal.comparison.configurations import parse_configurations
from yolo_focal.comparison.engines import ENGINES, check_engine
from yolo_focal.comparison.plan import make_plan
from yolo_focal.comparison.report.files import write_report
from yolo_focal.comparison.runner import look_ahead, run_missing_trials
from yolo_focal.comparison.summary import Summary, summarise, unjudged
from yolo_focal.errors import ConfigError

__all__ = ["compared"]

_BUDGET = ("epochs", "imgsz", "batch", "device")  # keys of the command that are training arguments


def compared(arguments: dict[str, Any]) -> tuple[Summary, str]:
    """Carry out what is missing, judge, write the report; the findings, and the outcome in words.

    With `dry_run` nothing is carried out, judged or written, and the words are those of the plan.

    Args:
        arguments: by the names of `yolo-focal compare`, and training arguments that all configurations share.

    Raises:
        YoloFocalError: anything with which a trial could only fail; nothing was started.
    """
    own = {key.name for key in COMMANDS["compare"].keys} - set(_BUDGET)
    arguments = _with_file(arguments)
    _check_keys(arguments)
    check_engine(arguments["engine"])
    plan = make_plan(
        out=Path(arguments["out"]),
        data=arguments["data"],
        model=arguments["model"],
        configurations=parse_configurations(arguments["losses"]),
        seeds=arguments["seeds"],
        training={name: value for name, value in arguments.items() if name not in own},
        split=arguments["split"],
    )
    extend, keep, resamples = arguments["extend"], arguments["keep"], arguments["resamples"]
    if arguments["dry_run"]:
        journal, outlook = look_ahead(plan, extend, keep)
        return unjudged(plan, journal, resamples), f"{outlook.text()}\nDry run: nothing was trained or written."
    engine, parallel = ENGINES[arguments["engine"]], arguments["parallel"]
    journal = run_missing_trials(plan, lambda trials, first: engine(trials, parallel, first), extend, keep)
    summary = summarise(plan, journal, resamples)
    return summary, write_report(summary)


def _with_file(arguments: dict[str, Any]) -> dict[str, Any]:
    """The arguments on top of those in the hyperparameter file `cfg`, as a training takes them."""
    named = arguments.get("cfg")
    if named is None:
        return arguments
    content = read_hyp(find_hyp(named))
    refuse_classic(content, f"cfg={named}")
    if shared := sorted(content.keys() & SHARED_BY_CONFIGURATIONS):
        given = "".join(f"; give {name}= to compare itself" for name in shared if is_taken("compare", name))
        raise ConfigError(f"cfg={named} sets {', '.join(shared)}; leave it out there{given}")
    refuse_other_classes(f"cfg={named}", content)
    return {**content, **{name: value for name, value in arguments.items() if name != "cfg"}}


def _check_keys(arguments: dict[str, Any]) -> None:
    """Refuse what cannot act, and a setting of the loss for all configurations, which would change the baseline too."""
    problems = [
        f"{unused} cannot act with engine=local, which runs one trial at a time; give engine=ray, or leave it out"
        for unused in chosen("compare", arguments, ["parallel"] if arguments["engine"] == "local" else [])
    ]
    problems += [
        f"{name}={arguments[name]} belongs to a configuration: losses=focal:{name}={arguments[name]}"
        for name in KEYS
        if name in arguments
    ]
    if "cls_pw" in arguments:
        problems.append(f"cls_pw is a configuration of its own: losses=bce,cls_pw:cls_pw={arguments['cls_pw']}")
    if problems:
        raise ConfigError(problems)
