"""Time epochs with and without showing rare classes more often, in turns in one process, and print the table.

    python benchmarks/benchmark_rare.py data=shapes imgsz=128 batch=16 repetitions=5

Each turn trains from scratch; its first epoch, in which workers start and crops are cut, is left out. For stable
numbers on a CPU, pin the threads: GOMP_CPU_AFFINITY="0 1" OMP_NUM_THREADS=2.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

import yolo_focal
from yolo_focal.arguments.key import Key, in_range, text
from yolo_focal.commands.exit_codes import run_script
from yolo_focal.ultra.drivers.load_model import load_model
from yolo_focal.ultra.logger import warnings_only

ROWS: dict[str, dict[str, Any]] = {
    "off": {},
    "rare_sampling=auto": {"rare_sampling": "auto"},
    "rare_paste=0.5": {"rare_paste": 0.5},
    "both": {"rare_sampling": "auto", "rare_paste": 0.5},
}
ARGUMENTS = (
    Key("model", "yolo11n.yaml", "architecture to train", read=text),
    Key("data", "shapes", "dataset: a data YAML, or shapes", read=text),
    Key("imgsz", 128, "side of the network's input in pixels", in_range(int, 32)),
    Key("batch", 16, "images a step", in_range(int, 1)),
    Key("epochs", 3, "of each training, the first left out", in_range(int, 2)),
    Key("repetitions", 5, "trainings of each row", in_range(int, 2)),
    Key("workers", 2, "of the data loader", in_range(int, 0)),
    Key("cache", "ram", "as for yolo: ram, disk or False", read=text),
    Key("device", "cpu", "as for yolo: cpu, 0, ...", read=text),
)


def seconds_an_epoch(arguments: dict[str, Any], row: dict[str, Any], folder: Path) -> float:
    """Median over the epochs of one training, without the first."""
    yolo = load_model(arguments["model"])
    marks: list[float] = []
    yolo.add_callback("on_train_epoch_start", lambda _: marks.append(time.perf_counter()))
    yolo.add_callback("on_train_epoch_end", lambda _: marks.append(time.perf_counter()))
    settings = {key: arguments[key] for key in ("data", "imgsz", "batch", "epochs", "workers", "device", "cache")}
    fixed = {"val": False, "plots": False, "save": False, "amp": False, "close_mosaic": 0, "project": str(folder)}
    with warnings_only():
        yolo.train(**settings, **fixed, **row)
    return statistics.median(end - start for start, end in list(zip(marks[::2], marks[1::2], strict=True))[1:])


def main(arguments: dict[str, Any]) -> int:
    """Measure and print."""
    yolo_focal.enable()
    times: dict[str, list[float]] = {name: [] for name in ROWS}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(arguments["repetitions"]):
            for name in list(ROWS) if turn % 2 else reversed(ROWS):
                times[name].append(seconds_an_epoch(arguments, ROWS[name], Path(folder)))
    print(f"{arguments['model']} on {arguments['data']}, {arguments['imgsz']} px, batch {arguments['batch']},")
    print(f"{arguments['workers']} workers, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| rare classes | s an epoch | ratio to off, median of pairs | least to most |")
    print("|---|---|---|---|")
    for name, measured in times.items():
        ratios = [mine / theirs for mine, theirs in zip(measured, times["off"], strict=True)]
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(f"| {name} | {statistics.median(measured):.2f} | {statistics.median(ratios):.3f} | {spread} |")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
