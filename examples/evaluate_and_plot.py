"""Evaluate a checkpoint by class and class frequency, and plot AP over the number of training objects.

python examples/evaluate_and_plot.py model=runs/examples/rare/weights/last.pt imgsz=96  # after train_rare_classes.py
python examples/evaluate_and_plot.py model=best.pt data=my.yaml imgsz=640
"""

import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

import yolo_focal
from yolo_focal.arguments.key import Key, in_range, path, text
from yolo_focal.commands.exit_codes import run_script

ARGUMENTS = (
    Key("model", None, "checkpoint or exported model", read=path, required=True),
    Key("data", "shapes", "its dataset: a data YAML, or shapes", read=text),
    Key("imgsz", 640, "side of the network's input in pixels", in_range(int, 32)),
    Key(
        "out", Path("runs/examples/evaluation"), "new folder for evaluation.json, per_class.csv and pictures", read=path
    ),
)


def run(arguments: dict[str, Any]) -> int:
    """Evaluate, print what the command prints, and draw one picture more."""
    result = yolo_focal.evaluate(**arguments)  # out= has it write its files as well
    print(result.summary())
    classes = [row for row in result.rows() if row["AP"] is not None and row["training_instances"]]
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    axes.scatter([row["training_instances"] for row in classes], [row["AP"] for row in classes])
    for index, row in enumerate(classes):
        place = (4, (3, -10)[index % 2])  # above and below in turn: neighbours in frequency often have like AP
        axes.annotate(row["name"], (row["training_instances"], row["AP"]), place, textcoords="offset points", size=8)
    axes.margins(x=0.12)
    axes.set(xscale="log", xlabel="training objects of the class", ylabel="AP", ylim=(0, None))
    picture = arguments["out"] / "frequency.png"
    figure.savefig(picture, dpi=150)
    print(f"picture: {picture}")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, run))
