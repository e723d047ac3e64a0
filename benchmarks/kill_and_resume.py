"""Kill a training with SIGKILL at random moments, resume it each time, and compare it with undisturbed ones.

    python benchmarks/kill_and_resume.py data=coco8.yaml folder=/tmp/kills epochs=150

Each kill comes at a random moment of the first `longest` seconds of a process. After it the checkpoint, if there is one
yet, has to load. The same arguments without kills run with `seeds` seeds: their spread is what the disturbed run's
final losses are to be judged by. Needs a system with fork.
"""

import multiprocessing
import random
import sys
import time
from pathlib import Path
from typing import Any

import torch
from ultralytics import YOLO

import yolo_focal
from yolo_focal.arguments.key import Key, in_range, path, text
from yolo_focal.commands.exit_codes import run_script

ARGUMENTS = (
    Key("data", None, "data YAML of a small dataset", read=text, required=True),
    Key("folder", None, "where the runs go", read=path, required=True),
    Key("kills", 20, "how many times", in_range(int, 1)),
    Key("epochs", 150, "length of the training; so long that all kills fall into it", in_range(int, 2)),
    Key("imgsz", 64, "training size in pixels", in_range(int, 32)),
    Key("longest", 20.0, "most seconds until a kill", in_range(float, 1)),
    Key("seeds", 3, "undisturbed trainings", in_range(int, 1)),
)
FORK = multiprocessing.get_context("fork")  # a child starts without importing everything again


def train(arguments: dict[str, Any]) -> None:
    """Start a training, or resume it where it has a checkpoint."""
    torch.set_num_threads(1)
    last = Path(arguments["project"]) / arguments["name"] / "weights" / "last.pt"
    if last.exists():
        YOLO(last).train(resume=True)
    else:
        YOLO("yolo11n.yaml").train(**arguments)


def run(arguments: dict[str, Any], seconds: float | None = None) -> bool:
    """Train in a process of its own, killed after `seconds`; whether it came to its end."""
    process = FORK.Process(target=train, args=(arguments,))
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
        return False
    if process.exitcode != 0:
        raise SystemExit(f"the training ended with exit code {process.exitcode}")
    return True


def last_row(arguments: dict[str, Any]) -> dict[str, float]:
    """The final losses in results.csv."""
    rows = (Path(arguments["project"]) / arguments["name"] / "results.csv").read_text(encoding="utf-8").split()
    return {
        name: float(value)
        for name, value in zip(rows[0].split(","), rows[-1].split(","), strict=False)
        if name == "epoch" or name.startswith("train/")
    }


def main(given: dict[str, Any]) -> int:
    """Kill, resume, compare; the exit code is 0 where the disturbed run came to its end."""
    yolo_focal.enable()
    torch.set_num_threads(1)
    arguments: dict[str, Any] = {
        "data": given["data"],
        "project": str(given["folder"].resolve()),
        "name": "killed",
        "exist_ok": True,
        "epochs": given["epochs"],
        "imgsz": given["imgsz"],
        "batch": 4,
        "fl_warmup": 5,
        "pretrained": False,
        "amp": False,
        "val": False,
        "plots": False,
        "verbose": False,
    }
    moments = random.Random(0)
    last = Path(arguments["project"]) / "killed" / "weights" / "last.pt"
    kills = unfinished = loadable = 0
    complete = False
    while kills < given["kills"]:
        started = time.monotonic()
        complete = run(arguments, moments.uniform(0.2, given["longest"]))
        if complete:
            break  # more epochs are needed for more kills
        kills += 1
        if last.exists():
            checkpoint = torch.load(last, weights_only=False)
            loadable += 1
            state = f"last.pt of epoch {checkpoint['epoch'] + 1}"
        else:
            unfinished += 1
            state = "no checkpoint yet"
        print(f"kill {kills} after {time.monotonic() - started:.1f} s: {state}", flush=True)
    complete = complete or run(arguments)
    print(f"{kills} kills: last.pt loadable {loadable}, not written yet {unfinished}; run completed: {complete}")
    print("killed     ", last_row(arguments))
    for seed in range(given["seeds"]):
        undisturbed = {**arguments, "name": f"undisturbed-{seed}", "seed": seed}
        run(undisturbed)
        print(f"seed {seed}     ", last_row(undisturbed))
    return 0 if complete and kills == loadable + unfinished else 1


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
