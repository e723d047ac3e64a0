"""What the functions of the Python API return: the text of the command, the content of its JSON, and rows."""

import dataclasses
import html
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yolo_focal.console import pasteable
from yolo_focal.errors import MissingExtraError

if TYPE_CHECKING:
    from yolo_focal.comparison.summary import Summary
    from yolo_focal.diagnosis.advice import Advice, Examination
    from yolo_focal.evaluation.recalibration.recalibrate import Recalibration
    from yolo_focal.evaluation.report import Report
    from yolo_focal.ultra.drivers.tuning import TuningResult

__all__ = [
    "CalibrateResult",
    "CompareResult",
    "ConvertResult",
    "DoctorResult",
    "EvaluateResult",
    "Result",
    "SubsetResult",
    "TuneResult",
]


class Result:
    """What every result can do."""

    def summary(self) -> str:
        """What the command prints."""
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """What JSON can hold: the content of the command's JSON file where it writes one."""
        raise NotImplementedError

    def rows(self) -> list[dict[str, Any]]:
        """The table in it, one dictionary a row; [] where there is none."""
        return []

    def to_pandas(self) -> Any:
        """`rows` as a `pandas.DataFrame`.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("to_pandas needs pandas; install it: pip install pandas") from error
        return pandas.DataFrame(self.rows())

    def headline(self) -> str:
        """The result in one line."""
        return next((line for line in self.summary().splitlines() if line.strip()), "")

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline().strip()}>"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.summary())}</pre>"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class EvaluateResult(Result):
    """How good detections are.

    Attributes:
        report: title, arguments, measured quality and notes.
    """

    report: "Report"

    @property
    def stats(self) -> Mapping[str, float]:
        """COCO's twelve numbers by name, AP among them, each in [0, 1], or -1 where nothing can be measured."""
        return self.report.evaluation.stats

    def summary(self) -> str:
        """See `Result`."""
        from yolo_focal.evaluation.report import summary_lines

        return "\n".join(summary_lines(self.report))

    def to_dict(self) -> dict[str, Any]:
        """The content of evaluation.json."""
        from yolo_focal.evaluation.report import evaluation_document

        return evaluation_document(self.report)

    def rows(self) -> list[dict[str, Any]]:
        """One row a class, as in per_class.csv."""
        from yolo_focal.evaluation.report import per_class_rows

        return per_class_rows(self.report.evaluation)

    def headline(self) -> str:
        """See `Result`."""
        ap = self.stats["AP"]
        return f"{self.report.title}, AP {f'{ap:.3f}' if ap >= 0 else '-'}"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class DoctorResult(Result):
    """What would really run on a model and a dataset.

    Attributes:
        title: model, data and batch, one line.
        arguments: those given, by name.
        examination: the measured batch and the labels.
        advice: in the order in which to act on it.
        out: the folder it was written into; None where it was not.
    """

    title: str
    arguments: Mapping[str, Any]
    examination: "Examination"
    advice: "tuple[Advice, ...]"
    out: Path | None = None

    def summary(self) -> str:
        """See `Result`."""
        from yolo_focal.diagnosis.report import examination_page

        return examination_page(self.title, self.examination, list(self.advice))

    def to_dict(self) -> dict[str, Any]:
        """The content of doctor.json."""
        from yolo_focal.diagnosis.report import examination_document

        return examination_document(self.title, dict(self.arguments), self.examination, list(self.advice))

    def rows(self) -> list[dict[str, Any]]:
        """One row a piece of advice."""
        return [dataclasses.asdict(each) for each in self.advice]

    def headline(self) -> str:
        """See `Result`."""
        return f"{self.title}, {len(self.advice)} pieces of advice"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CompareResult(Result):
    """Which of several configurations is better.

    Attributes:
        findings: differences, intervals and verdicts.
        text: the outcome in words.
    """

    findings: "Summary"
    text: str

    @property
    def failed(self) -> Mapping[tuple[str, int], str]:
        """The error of every failed trial, by configuration and seed."""
        return self.findings.failed

    def summary(self) -> str:
        """See `Result`."""
        return self.text

    def to_dict(self) -> dict[str, Any]:
        """The content of summary.json."""
        from yolo_focal.comparison.summary import summary_document

        return summary_document(self.findings)

    def rows(self) -> list[dict[str, Any]]:
        """One row a configuration and metric, as in results.csv."""
        from yolo_focal.comparison.summary import results_rows

        return results_rows(self.findings)

    def headline(self) -> str:
        """See `Result`."""
        from yolo_focal.comparison.report.html import headline

        names = ", ".join(each.name for each in self.findings.plan.configurations)
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"{len(self.findings.finished)} trials of {names}{failed}: {headline(self.findings)}"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class CalibrateResult(Result):
    """Scores before and after a recalibration.

    Attributes:
        out: the checkpoint that was written.
        arguments: those used, by name.
        recalibrations: one for every branch of the head.
    """

    out: Path
    arguments: Mapping[str, Any]
    recalibrations: "tuple[Recalibration, ...]"

    def summary(self) -> str:
        """See `Result`."""
        from yolo_focal.evaluation.recalibration.report import recalibration_lines

        split, measured = self.arguments["split"], self.arguments["evaluate_split"]
        return "\n".join(recalibration_lines(list(self.recalibrations), split, measured))

    def to_dict(self) -> dict[str, Any]:
        """The content of the JSON file beside the checkpoint."""
        from yolo_focal.evaluation.recalibration.report import recalibration_document

        return recalibration_document(list(self.recalibrations), self.arguments)

    def headline(self) -> str:
        """See `Result`."""
        return str(self.out)


@dataclasses.dataclass(frozen=True, repr=False)
class ConvertResult(Result):
    """An anchor detector made of an original YOLOv5 checkpoint.

    Attributes:
        out: the checkpoint that was written.
        parameters: number of its parameters.
        names: of its classes.
        strides: of its levels, in pixels.
        fused: whether batch normalisation is folded into its convolutions.
        data: the dataset that it was checked against; None where there was none.
    """

    out: Path
    parameters: int
    names: tuple[str, ...]
    strides: tuple[float, ...]
    fused: bool
    data: str | None = None

    def summary(self) -> str:
        """See `Result`."""
        strides, of_coco = ", ".join(f"{stride:g}" for stride in self.strides), len(self.names) == 80
        data = self.data or ("coco128.yaml" if of_coco else "DATA.yaml")
        return (
            f"{self.out}: {self.parameters:,} parameters, {len(self.names)} classes, strides {strides}"
            f"{', fused' if self.fused else ''}\n"
            f"Use it: {pasteable('val', f'model={self.out}', f'data={data}', 'iou=0.6')}"
        )

    def to_dict(self) -> dict[str, Any]:
        """Its attributes."""
        return {**dataclasses.asdict(self), "out": str(self.out)}


@dataclasses.dataclass(frozen=True, repr=False)
class SubsetResult(Result):
    """A subset that was written.

    Attributes:
        out: its folder.
        manifest: what was asked and what was reached, as in manifest.json.
    """

    out: Path
    manifest: Mapping[str, Any]

    @property
    def data_yaml(self) -> Path:
        """What to give as data=."""
        return self.out / "data.yaml"

    def summary(self) -> str:
        """See `Result`."""
        from yolo_focal.data.subset import subset_lines

        return "\n".join(subset_lines(self.out, self.manifest))

    def to_dict(self) -> dict[str, Any]:
        """The content of manifest.json."""
        return dict(self.manifest)

    def rows(self) -> list[dict[str, Any]]:
        """One row a split and class."""
        splits = self.manifest["splits"].items()
        return [{"split": split, **row} for split, record in splits for row in record["classes"]]

    def headline(self) -> str:
        """See `Result`."""
        return str(self.out)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class TuneResult(Result):
    """The trials of a tuning.

    Attributes:
        tuning: all trials, the folder and the settings.
        out: the hyperparameter file with the best values; None where all trials failed.
        use: the command that trains with them.
    """

    tuning: "TuningResult"
    out: Path | None
    use: str

    def summary(self) -> str:
        """See `Result`."""
        from yolo_focal.ultra.drivers.tuning import trial_lines

        if self.out is None:
            return f"all {len(self.tuning.trials)} trials failed; the reason is above"
        return "\n".join([*trial_lines(self.tuning), "", f"* the best; written to {self.out}", f"Use it: {self.use}"])

    def headline(self) -> str:
        """See `Result`."""
        best = self.tuning.best
        if best is None or best.fitness is None:
            return self.summary()
        return f"best of {len(self.tuning.trials)} trials: fitness {best.fitness:.5f}; written to {self.out}"

    def to_dict(self) -> dict[str, Any]:
        """Trials, best values and where they stand."""
        best = self.tuning.best
        return {
            "folder": str(self.tuning.folder),
            "out": None if self.out is None else str(self.out),
            "best": None if best is None else dataclasses.asdict(best),
            "trials": self.rows(),
        }

    def rows(self) -> list[dict[str, Any]]:
        """One row a trial."""
        return [{"fitness": trial.fitness, **trial.values} for trial in self.tuning.trials]
