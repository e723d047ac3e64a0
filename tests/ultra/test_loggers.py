"""What a training with this plugin does reaches the loggers of Ultralytics, through its own callbacks."""

import importlib.util
import json
import struct
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.helpers import run_python, write_squares

TRAINING = """
import os
os.environ.pop("PYTEST_CURRENT_TEST", None)  # inside of a test Ultralytics logs nothing
from ultralytics.utils import SETTINGS
SETTINGS.update({settings})
if SETTINGS["clearml"]:
    from clearml import Task
    Task.update_output_model = lambda *_, **__: None  # which fails where there is no server
import yolo_focal; yolo_focal.enable()
from ultralytics import YOLO
YOLO("yolo11n.yaml").train(
    data={data!r}, epochs=2, imgsz=32, batch=4, workers=0, plots=False, amp=False, project={folder!r}, name="run",
    fl_gamma=2.0, fl_cooldown=0.5, fl_alpha="auto", rare_sampling="auto",
)
"""
DIAGNOSIS = """
import os
os.environ.pop("PYTEST_CURRENT_TEST", None)
from ultralytics.utils import SETTINGS
SETTINGS.update({settings})
import yolo_focal
yolo_focal.doctor("yolo11n.yaml", {data!r}, imgsz=32, batch=4, verbose=False)
"""
pytestmark = pytest.mark.slow

OURS = {
    *("focal/gain", "focal/gamma", "focal/alpha_red_round", "focal/alpha_dark_1_", "rare/exposure", "rare/threshold"),
    *("AP/red_round", "AP/dark_1_"),
}
NEEDED = {
    "tensorboard": ["tensorboard"],
    "mlflow": ["mlflow"],
    "wandb": ["wandb"],
    "clearml": ["clearml"],
    "comet": ["comet_ml"],
}


class Logged(NamedTuple):
    """A training with every logger that is installed."""

    folder: Path
    data: Path
    loggers: set[str]

    def need(self, logger):
        """Skip the test where the logger is not installed."""
        if logger not in self.loggers:
            pytest.skip(f"{logger} is not installed: pip install {' '.join(NEEDED[logger])}")


def environment(folder):
    """Every logger writes below `folder`, and asks no server."""
    return {
        "YOLO_CONFIG_DIR": str(folder),
        "MLFLOW_TRACKING_URI": (folder / "mlflow").as_uri(),
        "MLFLOW_ALLOW_FILE_STORE": "true",
        "WANDB_MODE": "offline",
        "CLEARML_OFFLINE_MODE": "1",
        "CLEARML_CACHE_DIR": str(folder / "clearml"),
        "COMET_START_ONLINE": "0",
        "COMET_OFFLINE_DIRECTORY": str(folder / "comet"),
        "COMET_DISABLE_AUTO_LOGGING": "1",  # else it takes what MLflow logs for an experiment of its own
    }


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    """Two epochs in a process of their own, because Ultralytics switches its loggers off beside pytest."""
    folder = tmp_path_factory.mktemp("logged")
    data = write_squares(folder / "squares", train=8, val=4)
    data.write_text(data.read_text().replace("[light, dark]", '["red, round", "dark (1)"]'))
    has = {logger: all(map(importlib.util.find_spec, packages)) for logger, packages in NEEDED.items()}
    done = run_python(
        TRAINING.format(settings=has, data=str(data), folder=str(folder)), cwd=folder, **environment(folder)
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return Logged(folder, data, {logger for logger, installed in has.items() if installed})


def test_tensorboard(logged):
    """A scalar in every epoch under each name, and AP of the best weights after the last one."""
    logged.need("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(logged.folder / "run")).Reload()
    assert {tag for tag in events.Tags()["scalars"] if tag.startswith(("focal/", "rare/", "AP/"))} == OURS
    assert [(each.step, each.value) for each in events.Scalars("focal/gamma")] == [(1, 2.0), (2, 0.0)]
    assert [each.step for each in events.Scalars("AP/dark_1_")] == [1, 2, 3]


def test_mlflow(logged, monkeypatch):
    """Metrics under the same names, and `auto` among the parameters."""
    logged.need("mlflow")
    from mlflow import MlflowClient

    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = MlflowClient(tracking_uri=(logged.folder / "mlflow").as_uri())
    (experiment,) = client.search_experiments(filter_string=f"name = '{logged.folder}'")
    (run,) = client.search_runs([experiment.experiment_id])
    assert set(run.data.metrics) >= OURS
    assert [each.value for each in client.get_metric_history(run.info.run_id, "focal/gamma")] == [2.0, 0.0]
    assert {run.data.params[name] for name in ("fl_gain", "fl_alpha", "rare_sampling")} == {"auto"}


def test_wandb(logged):
    """A history with the same names, and `auto` in the configuration."""
    logged.need("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = logged.folder.glob("run/wandb/offline-run-*/*.wandb")
    records = [Record.FromString(content) for content in records_of(file)]
    gamma = [
        item.value_json
        for record in records
        for item in record.history.item
        if "/".join(item.nested_key) == "focal/gamma"
    ]
    assert list(map(float, gamma)) == [2.0, 0.0]
    names = {"/".join(item.nested_key) for record in records for item in record.history.item}
    assert names >= OURS
    settings = {item.key: item.value_json for record in records for item in record.run.config.update}
    assert {settings[name] for name in ("fl_gain", "fl_alpha", "rare_sampling")} == {'"auto"'}


def test_clearml(logged):
    """Scalars under the same names, offline."""
    logged.need("clearml")
    (file,) = (logged.folder / "clearml").rglob("metrics.jsonl")
    events = [event for line in file.read_text().splitlines() for event in json.loads(line)]
    assert {f"{each['metric']}/{each['variant']}" for each in events} >= OURS
    gamma = [each["value"] for each in events if (each["metric"], each["variant"]) == ("focal", "gamma")]
    assert gamma == [2.0, 0.0]


def test_comet(logged):
    """Metrics under the same names, and `auto` among the parameters, offline."""
    logged.need("comet")
    (file,) = (logged.folder / "comet").glob("*.zip")
    with zipfile.ZipFile(file) as archive:
        messages = [json.loads(line) for line in archive.read("messages.json").splitlines()]
    metrics = [each["payload"]["metric"] for each in messages if each["type"] == "metric_msg"]
    assert {each["metricName"] for each in metrics} >= OURS
    assert [each["metricValue"] for each in metrics if each["metricName"] == "focal/gamma"] == [2.0, 0.0]


def test_a_diagnosis_is_no_experiment(logged, tmp_path):
    """Doctor takes one batch of a training, and no logger hears of it; nothing is left in the present folder."""
    has = dict.fromkeys(logged.loggers, True)
    program = DIAGNOSIS.format(settings=has, data=str(logged.data))
    (tmp_path / "logs").mkdir()
    (tmp_path / "here").mkdir()
    done = run_python(program, cwd=tmp_path / "here", **environment(tmp_path / "logs"))
    assert done.returncode == 0, done.stderr[-2000:]
    assert list((tmp_path / "here").iterdir()) == []
    assert not {"mlflow", "clearml", "comet"} & {path.name for path in (tmp_path / "logs").iterdir()}


def records_of(file: Path) -> list[bytes]:
    """The records of a .wandb file: 7 bytes, then blocks of 32 KB with pieces of (checksum, length, kind, content)."""
    content, records, place = file.read_bytes(), [], 7
    while place + 7 <= len(content):
        left = 2**15 - place % 2**15
        if left < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", content, place + 4)
        piece = content[place + 7 : place + 7 + length]
        if kind in (1, 2):  # a whole record, or the first piece of one
            records.append(piece)
        else:
            records[-1] += piece
        place += 7 + length
    return records
