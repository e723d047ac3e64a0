"""Carry out the study of docs/evidence.md, a comparison for each file of cfg/study, and make its tables and plots.

python scripts/study.py plan                                    # what is missing, and the hours that it will take
python scripts/study.py run only=shapes scale=0.1               # a smoke test: a tenth of the epochs and seeds
python scripts/study.py run datasets=~/datasets                 # all of it; what is there is never repeated
python scripts/study.py scores only=shapes-3x                   # what scores are worth, before and after calibrate
python scripts/study.py limit only=bccd-anchor                  # what NMS's time limit loses, on an idle machine
python scripts/study.py tables                                  # raw results, tables and plots for docs/evidence.md
"""

import dataclasses
import inspect
import json
import math
import re
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import yaml

import yolo_focal
from yolo_focal.arguments.key import Key, in_range, number, one_of, path, text, text_list
from yolo_focal.commands.exit_codes import run_script
from yolo_focal.comparison.configurations import BASELINE, parse_configurations
from yolo_focal.comparison.journal import Journal
from yolo_focal.comparison.plan import trial_folder, unique_slugs
from yolo_focal.comparison.runner import JOURNAL
from yolo_focal.comparison.statistics.student_t import student_critical
from yolo_focal.comparison.trial import TRAINED
from yolo_focal.errors import ConfigError, DataError, YoloFocalError
from yolo_focal.files import replace_file, write_json, write_text
from yolo_focal.plot_style import BLUE, GREEN, GREY, ORANGE, plain_axes
from yolo_focal.resources import cfg_file, cfg_names
from yolo_focal.text_table import aligned

ROOT = Path(__file__).resolve().parents[1]
ACTIONS = ("plan", "run", "scores", "limit", "tables")
ARGUMENTS = (
    Key(
        "do",
        "plan",
        "plan, run, scores, limit, tables; may stand alone, as the first word",
        one_of(ACTIONS),
        text,
        leading=True,
    ),
    Key("only", [], "studies: names of cfg/study, or YAML files of your own; all by default", read=text_list),
    Key("scale", 1.0, "of epochs and seeds; 1 is the study", number(lambda scale: 0 < scale <= 10, "in (0, 10]")),
    Key("out", Path("runs/study"), "folder of the comparisons", read=path),
    Key("datasets", Path(), "folder of the datasets and weights that are not built in", read=path),
    Key("device", "cpu", "as for yolo: cpu, 0, ...", read=text),
    Key("engine", "local", "local: one trial at a time; ray: a Ray cluster", one_of(("local", "ray")), text),
    Key("parallel", 2, "engine=ray: trials at a time", in_range(int, 1)),
    Key("docs", ROOT / "docs", "folder of evidence.md, for tables", read=path),
)
SCORES = "scores"  # the question that is answered by calibrating the trainings' last checkpoints
LIMIT = "limit"  # the one that is answered by validating them with and without NMS's time limit
_SCORE_COLUMNS = {"error": ".3f", "threshold": ".2f", "candidates": ",.0f"}
_COLOURS = {"better": GREEN, "worse": ORANGE, "cannot tell": GREY}


@dataclass(frozen=True)
class Study:
    """One file of cfg/study.

    Attributes:
        name: of the file.
        title: of its part of the page.
        data: `shapes`, or a path below the folder of the datasets.
        model: that every trial starts from; an architecture, or a path below that folder.
        seeds: number of trainings of each configuration.
        first_seed: of them; a study that confirms another one takes seeds which that one has not had.
        training: arguments that all share.
        questions: configurations by question; every question is answered beside BCE.
        metrics: that the tables show; the first one's verdict stands beside them.
        scores: configurations whose scores are examined, before and after calibration.
        shorter: studies of the same configurations with fewer epochs, for a plot of AP over epochs.
        limit: configurations that are validated with and without NMS's time limit, and the `imgsz` and `batch` sizes.
    """

    name: str
    title: str
    data: str
    model: str
    seeds: int
    training: Mapping[str, Any]
    questions: Mapping[str, Sequence[str]]
    first_seed: int = 0
    metrics: Sequence[str] = ("AP", "AP rare")
    scores: Sequence[str] = ()
    shorter: Sequence[str] = ()
    limit: Mapping[str, Any] = field(default_factory=dict)

    @property
    def configurations(self) -> list[str]:
        """All of them, BCE first, each once."""
        return list(dict.fromkeys([BASELINE, *(each for several in self.questions.values() for each in several)]))

    @property
    def seed_range(self) -> range:
        """The seeds of the trainings."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def scaled(self, scale: float) -> "Study":
        """The same study with another number of epochs and seeds, at least one of each."""
        training = {**self.training, "epochs": max(round(self.training["epochs"] * scale), 1)}
        seeds = max(math.ceil(self.seeds * min(scale, 1)), 1)
        return dataclasses.replace(self, seeds=seeds, training=training)


def read_studies(only: Sequence[str], scale: float) -> list[Study]:
    """The studies called `only`, or all.

    Raises:
        ConfigError: one that does not exist.
    """
    files = [_study_file(name) for name in only or cfg_names("study")]
    return [Study(name=file.stem, **_content(file)).scaled(scale) for file in files]


def _content(file: Path) -> dict[str, Any]:
    """What a file says; with `like: OTHER`, on top of what that one says."""
    content: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    other = content.pop("like", None)
    if other is None:
        return content
    base = _content(_study_file(other))
    return {**base, **content, "training": {**base["training"], **content.get("training", {})}}


def _study_file(name: str) -> Path:
    file = Path(name) if Path(name).is_file() else cfg_file("study", name)
    if file is None:
        raise ConfigError(f"only={name} does not exist; give a YAML file or one of {', '.join(cfg_names('study'))}")
    return file


@dataclass(frozen=True)
class State:
    """How far a study is: the number of its trials, those finished, and the median seconds of a training."""

    trials: int
    finished: int
    seconds: float

    @property
    def hours(self) -> float:
        """What is missing, one trial after the other; NaN where no training was timed."""
        missing = self.trials - self.finished
        return missing * self.seconds / 3600 if missing else 0.0


def state_of(study: Study, out: Path) -> State:
    """From the journal of its comparison and the records of its trainings."""
    wanted = {(name, seed) for name in study.configurations for seed in study.seed_range}
    finished = Journal(out / study.name / JOURNAL).finished().keys()
    records = (out / study.name).glob(f"trials/*/{TRAINED}")
    seconds = [json.loads(record.read_text(encoding="utf-8"))["seconds"] for record in records]
    return State(len(wanted), len(wanted & finished), statistics.median(seconds) if seconds else math.nan)


def show_plan(studies: Sequence[Study], arguments: Mapping[str, Any]) -> None:
    """A line for each study: what is missing, and how long it takes."""
    rows = [["study", "configurations", "seeds", "trials", "finished", "s a training", "hours left"]]
    states = [state_of(study, arguments["out"]) for study in studies]
    for study, state in zip(studies, states, strict=True):
        counts = [str(value) for value in (len(study.configurations), study.seeds, state.trials, state.finished)]
        timed = not math.isnan(state.seconds)
        rows.append(
            [study.name, *counts, f"{state.seconds:.0f}" if timed else "?", f"{state.hours:.1f}" if timed else "?"]
        )
    print("\n".join(aligned(rows)))
    hours = sum(state.hours for state in states if not math.isnan(state.hours))
    untimed = sum(math.isnan(state.seconds) for state in states)
    also = f", without the {untimed} studies that no training has timed" if untimed else ""
    print(f"Left: {hours:.1f} hours, one training after the other{also}.")


def run_studies(studies: Sequence[Study], arguments: Mapping[str, Any]) -> int:
    """Carry out what is missing; 1 where a trial failed."""
    failed = 0
    for study in studies:
        result = yolo_focal.compare(
            _below(arguments["datasets"], study.data),
            _below(arguments["datasets"], study.model),
            losses=study.configurations,
            seeds=list(study.seed_range),
            engine=arguments["engine"],
            parallel=arguments["parallel"],
            device=arguments["device"],
            extend=True,
            out=arguments["out"] / study.name,
            **study.training,
        )
        print(result.summary())
        failed += len(result.failed)
    return 1 if failed else 0


def _below(datasets: Path, name: str) -> str:
    """The file `name` in the folder of the datasets; `name` itself where there is none, as for what is built in."""
    file = datasets.expanduser() / name
    return str(file) if file.is_file() else name


def run_scores(studies: Sequence[Study], arguments: Mapping[str, Any]) -> None:
    """Calibrate the last checkpoint of every finished trial of `Study.scores`, and keep what its scores are worth."""
    for study in studies:
        rows = []
        for name, seed, weights, data in _last_checkpoints(study, arguments["out"], study.scores, SCORES):
            with tempfile.TemporaryDirectory() as folder:
                try:
                    result = yolo_focal.calibrate(
                        weights, data, imgsz=study.training["imgsz"], out=Path(folder) / "c.pt"
                    )
                except YoloFocalError as error:  # it would do harm, and says so
                    print(f"{name} seed {seed}: {error}")
                    continue
            (found,) = result.to_dict()["branches"]
            worth = {when: _worth(found[when]) for when in ("before", "after")}
            rows.append({"configuration": name, "seed": seed, **worth})
            print(f"{name} seed {seed}: {worth}")
        _keep_rows(study, rows, arguments["docs"], SCORES)


def _last_checkpoints(
    study: Study, out: Path, names: Sequence[str], question: str
) -> Iterator[tuple[str, int, Path, str]]:
    """Configuration, seed, last.pt and data YAML of every finished trial of `names`, in their order.

    Raises:
        ConfigError: the study's file names none for this question.
    """
    if not names:
        raise ConfigError(f"the study {study.name} has no {question}; name configurations in its file")
    source = out / study.name
    slugs = unique_slugs(parse_configurations(",".join(study.configurations)))
    folders = dict(zip(study.configurations, slugs, strict=True))
    finished = Journal(source / JOURNAL).finished()
    for name, seed in sorted(
        (key for key in finished if key[0] in names), key=lambda key: (names.index(key[0]), key[1])
    ):
        weights = trial_folder(source, folders[name], seed) / "run/weights/last.pt"
        yield name, seed, weights, finished[name, seed]["arguments"]["data"]


def _keep_rows(study: Study, rows: Sequence[Mapping[str, Any]], docs: Path, question: str) -> None:
    file = docs / "evidence" / study.name / f"{question}.jsonl"
    _write_json_lines(file, rows)
    print(file)


def run_limit(studies: Sequence[Study], arguments: Mapping[str, Any]) -> None:
    """Validate the last checkpoint of every finished trial of `Study.limit`, with and without NMS's time limit."""
    yolo_focal.enable()
    for study in studies:
        rows = []
        names = study.limit.get("configurations", ())
        for name, seed, weights, data in _last_checkpoints(study, arguments["out"], names, LIMIT):
            for batch in study.limit["batch"]:
                row = {"configuration": name, "seed": seed, "batch": batch}
                for limited in (False, True):
                    found = _validated(weights, data, study.limit["imgsz"], batch, limited, arguments["device"])
                    row["limited" if limited else "unlimited"] = found
                rows.append(row)
                print(row)
        _keep_rows(study, rows, arguments["docs"], LIMIT)


def _validated(weights: Path, data: str, imgsz: int, batch: int, limited: bool, device: str) -> dict[str, Any]:
    """AP, images without a detection and milliseconds of NMS of a validation; NMS is Ultralytics' own if `limited`."""
    from ultralytics import YOLO
    from ultralytics.utils import nms

    suppress = inspect.unwrap(nms.non_max_suppression) if limited else nms.non_max_suppression
    images, empty = 0, 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal images, empty
        output = suppress(*args, **kwargs)
        images, empty = images + len(output), empty + sum(not len(each) for each in output)
        return output

    model = YOLO(weights)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(nms, "non_max_suppression", counted):
        metrics = model.val(
            data=data,
            imgsz=imgsz,
            batch=batch,
            iou=0.6,
            device=device,
            plots=False,
            verbose=False,
            workers=0,
            project=folder,
            exist_ok=True,
        )
    milliseconds = metrics.speed["postprocess"]
    return {"AP": float(metrics.box.map), "images": images, "empty": empty, "nms_ms": round(milliseconds, 2)}


def _worth(measured: Mapping[str, Any]) -> dict[str, float]:
    """What the scores of one model are worth, before or after calibration."""
    return {
        "error": measured["calibration"]["error"],
        "threshold": measured["best_f1"]["threshold"],
        "candidates": measured["nms"]["candidates_per_image"]["mean"],
        "AP": measured["coco"]["AP"],
    }


def scores_table(study: Study, folder: Path) -> str:
    """The Markdown table of the scores' worth: means over seeds, with 95 % intervals, before and after calibration."""
    kept = _json_lines(folder / study.name / f"{SCORES}.jsonl")
    head = ["configuration", "", "calibration error, 95 %", "best threshold, 95 %", "candidates an image, 95 %", "AP"]
    rows = []
    for name in study.scores:
        some = [row for row in kept if row["configuration"] == name]
        for when in ("before", "after"):
            columns = {key: [row[when][key] for row in some] for key in some[0][when]} if some else {}
            if columns:
                cells = [_interval(columns[key], form) for key, form in _SCORE_COLUMNS.items()]
                ap = f"{statistics.mean(columns['AP']):.4f}"
                rows.append([f"`{name}`", when, *cells, ap, str(len(some))])
    return _markdown(head, rows)


def limit_table(study: Study, folder: Path) -> str:
    """The Markdown table of what NMS's time limit loses: means over the seeds, the difference with its interval."""
    kept = _json_lines(folder / study.name / f"{LIMIT}.jsonl")
    head = ["configuration", "batch", "NMS, ms an image", "images lost", "AP", "AP with the limit", "difference, 95 %"]
    rows = []
    for name in study.limit["configurations"]:
        for batch in study.limit["batch"]:
            some = [row for row in kept if (row["configuration"], row["batch"]) == (name, batch)]
            pairs = [(row["unlimited"], row["limited"]) for row in some]
            free, bound = (statistics.mean(each["AP"] for each in side) for side in zip(*pairs, strict=True))
            lost = statistics.mean(with_limit["empty"] - without["empty"] for without, with_limit in pairs)
            cells = [
                f"{statistics.median(without['nms_ms'] for without, _ in pairs):.0f}",
                f"{lost:.0f} of {pairs[0][0]['images']}",
                f"{free:.3f}",
                f"{bound:.3f}",
                _interval([with_limit["AP"] - without["AP"] for without, with_limit in pairs], "+.3f"),
            ]
            rows.append([f"`{name}`", str(batch), *cells, str(len(some))])
    return _markdown(head, rows)


def _json_lines(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def _write_json_lines(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    write_text(file, "".join(f"{json.dumps(row)}\n" for row in rows))


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose last column is the number of seeds."""
    lines = [[*head, "seeds"], ["---"] * (len(head) + 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _interval(values: Sequence[float], form: str) -> str:
    """Mean and 95 % interval of Student's t."""
    mean, half = _mean_and_half(values)
    return f"{mean:{form}} ({mean - half:{form}} to {mean + half:{form}})" if len(values) > 1 else f"{mean:{form}}"


def _mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half of the length of its 95 % interval; 0 where there is one value."""
    if len(values) < 2:
        return statistics.mean(values), 0.0
    half = student_critical(0.05, len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
    return statistics.mean(values), half


def keep_raw_results(study: Study, out: Path, folder: Path) -> None:
    """Copy what the tables are made of: summary.json, and a short row for every finished trial.

    Raises:
        DataError: the comparison has not come to an end.
    """
    source = out / study.name
    if not (source / "summary.json").is_file():
        raise DataError(f"{source} has no summary.json: the comparison has not come to an end; scripts/study.py run")
    summary = json.loads((source / "summary.json").read_text(encoding="utf-8"))
    keys = ("configuration", "seed", "stats", "class_ap", "best_f1_threshold")
    rows = [{key: row[key] for key in keys} for row in Journal(source / JOURNAL).finished().values()]
    # Not where it lay on the machine that trained, which is in the command too.
    summary["comparison"].update(data=study.data, model=study.model)
    summary.pop("command", None)
    write_json(folder / study.name / "summary.json", summary)
    _write_json_lines(folder / study.name / "trials.jsonl", rows)


def table(study: Study, question: str, folder: Path) -> str:
    """The Markdown table of one question, from the raw results in `folder`: a row for each configuration."""
    summary = json.loads((folder / study.name / "summary.json").read_text(encoding="utf-8"))
    metrics = [name for name in study.metrics if name in summary["baseline"]]
    head = ["configuration", *(part for name in metrics for part in (name, "difference, 95 %")), "verdict"]
    seeds = max((len(each["seeds"]) for each in summary["configurations"].values()), default=0)
    means = [part for name in metrics for part in (f"{summary['baseline'][name]:.3f}", "")]
    rows = [["bce", *means, "", str(seeds)]]
    for name in study.questions[question]:
        if name == BASELINE or name not in summary["configurations"]:
            continue
        found = summary["configurations"][name]
        results = [found["results"][metric] for metric in metrics]
        cells = [part for each in results for part in (f"{each['mean']:.3f}", _difference(each))]
        rows.append([f"`{name}`", *cells, results[0]["verdict"], str(len(found["seeds"]))])
    return _markdown(head, rows)


def _difference(result: Mapping[str, Any]) -> str:
    if result["low"] is None:
        return f"{result['difference']:+.3f}"
    return f"{result['difference']:+.3f} ({result['low']:+.3f} to {result['high']:+.3f})"


def forest_plot(study: Study, question: str, folder: Path, file: Path) -> None:
    """The differences in AP of one question, with their intervals, best at the top; green and orange are verdicts."""
    from matplotlib.figure import Figure

    summary = json.loads((folder / study.name / "summary.json").read_text(encoding="utf-8"))
    results = {
        name: summary["configurations"][name]["results"]
        for name in study.questions[question]
        if name in summary["configurations"]
    }
    order = sorted(results, key=lambda name: results[name]["AP"]["difference"])
    figure = Figure(figsize=(7.5, 1.2 + 0.34 * len(order)), layout="constrained")
    axes = plain_axes(figure)
    for place, name in enumerate(order):
        for metric, offset, mark, opacity in (("AP", 0.0, "o", 1.0), ("AP rare", -0.26, "d", 0.45)):
            each = results[name].get(metric)
            if each is None or each["low"] is None:
                continue
            colour = _COLOURS[each["verdict"]] if metric == "AP" else BLUE
            axes.plot([each["low"], each["high"]], [place + offset] * 2, color=colour, alpha=opacity)
            axes.plot(each["difference"], place + offset, mark, color=colour, alpha=opacity)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(order)), order)
    axes.set_xlabel("AP - AP of BCE, 95 % interval (small diamonds: the rare third of the classes)")
    axes.set_title(f"{study.title}: {question}", loc="left", fontsize=10)
    with replace_file(file) as temporary:
        figure.savefig(temporary, dpi=110)


def budget_plot(study: Study, shorter: Sequence[Study], folder: Path, file: Path) -> None:
    """AP of each configuration over the epochs of several studies: means with 95 % intervals, the same seeds in all."""
    from matplotlib.figure import Figure

    studies = sorted([*shorter, study], key=lambda each: each.training["epochs"])
    found = {each.name: _ap_by_trial(folder / each.name) for each in studies}
    figure = Figure(figsize=(7.5, 4), layout="constrained")
    axes = plain_axes(figure)
    for number_of_it, name in enumerate(study.configurations):
        epochs, means, halves = [], [], []
        for each in studies:
            values = [
                ap for (other, seed), ap in found[each.name].items() if other == name and seed in study.seed_range
            ]
            mean, half = _mean_and_half(values)
            epochs.append(each.training["epochs"] * (1 + 0.015 * number_of_it))  # side by side, not one on another
            means.append(mean)
            halves.append(half)
        colour = (GREY, ORANGE, GREEN, BLUE)[number_of_it % 4]
        axes.errorbar(epochs, means, halves, color=colour, marker="o", capsize=3, label=name)
    axes.set_xscale("log")
    axes.set_xticks([each.training["epochs"] for each in studies], [str(each.training["epochs"]) for each in studies])
    axes.minorticks_off()
    axes.set_xlabel("epochs of the whole training")
    axes.set_ylabel("AP, 95 % interval")
    axes.legend(frameon=False)
    with replace_file(file) as temporary:
        figure.savefig(temporary, dpi=110)


def _ap_by_trial(folder: Path) -> dict[tuple[str, int], float]:
    return {(row["configuration"], row["seed"]): row["stats"]["AP"] for row in _json_lines(folder / "trials.jsonl")}


def place_tables(page: str, studies: Sequence[Study], folder: Path) -> str:
    """`page` with the table of every `<!-- table study/question -->` as the raw results give it."""
    by_name = {study.name: study for study in studies}

    def made(match: re.Match[str]) -> str:
        study, question = match["study"], match["question"]
        if study not in by_name:
            return match[0]
        of_checkpoints = {SCORES: scores_table, LIMIT: limit_table}.get(question)
        content = of_checkpoints(by_name[study], folder) if of_checkpoints else table(by_name[study], question, folder)
        return f"<!-- table {study}/{question} -->\n{content}\n<!-- end -->"

    pattern = r"<!-- table (?P<study>[\w-]+)/(?P<question>[\w-]+) -->\n.*?<!-- end -->"
    return re.sub(pattern, made, page, flags=re.DOTALL)


def make_tables(studies: Sequence[Study], arguments: Mapping[str, Any]) -> None:
    """Raw results of the studies that have ended, their plots, and the tables in evidence.md."""
    folder, page = arguments["docs"] / "evidence", arguments["docs"] / "evidence.md"
    for study in studies:
        if (arguments["out"] / study.name / "summary.json").is_file():
            keep_raw_results(study, arguments["out"], folder)
    kept = [study for study in studies if (folder / study.name / "summary.json").is_file()]
    if not kept:
        raise DataError(f"neither {arguments['out']} nor {folder} has results; scripts/study.py run makes them")
    for study in kept:
        for question in study.questions:
            forest_plot(study, question, folder, folder / f"{study.name}-{question}.png")
        if study.shorter:
            budget_plot(study, read_studies(study.shorter, 1.0), folder, folder / f"{study.name}-epochs.png")
    write_text(page, place_tables(page.read_text(encoding="utf-8"), kept, folder))
    print(f"{page}: {', '.join(study.name for study in kept)}")


def main(arguments: dict[str, Any]) -> int:
    """Do what was asked."""
    studies = read_studies(arguments["only"], arguments["scale"])
    if arguments["do"] == "run":
        return run_studies(studies, arguments)
    {"plan": show_plan, SCORES: run_scores, LIMIT: run_limit, "tables": make_tables}[arguments["do"]](
        studies, arguments
    )
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
