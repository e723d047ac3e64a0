"""How often the intervals and verdicts of `yolo-focal compare` are right, on simulated trainings with known truth.

Use: python benchmarks/check_bootstrap_coverage.py repetitions=400 resamples=60
Prints, for several sizes of chance: how many of the 95 % intervals hold the true difference, metric by metric; how
many comparisons claim a difference of a configuration that equals the baseline; how many see the
one that differs in AP.
Then the time of one large bootstrap.
"""

import sys
import time
from typing import Any

import numpy as np

from tests.comparison.simulation import World, repeat_comparisons, simulate_matches
from yolo_focal.arguments.key import Key, in_range
from yolo_focal.commands.exit_codes import run_script
from yolo_focal.comparison.metrics import Metrics
from yolo_focal.comparison.statistics.bootstrap import measure_resamples

ARGUMENTS = (
    Key("repetitions", 400, "comparisons per line", in_range(int, 1)),
    Key("resamples", 60, "of the images, behind each interval", in_range(int, 10)),
    Key("images", 40, "images of a simulated split", in_range(int, 10)),
    Key("seeds", None, "trainings of each configuration; 2, 3 and 5 where not given", in_range(int, 2)),
    Key("luck", None, "how much trainings differ by luck; 0, 0.03 and 0.1 where not given", in_range(float, 0)),
    Key("seed", 0, "of the simulation", in_range(int, 0)),
)
OBJECTS = (2.0, 1.0, 0.5)  # mean number in an image, class by class
SHIFT = (0.1, 0.2, 0.3)  # how much better the other configuration finds them


def main(arguments: dict[str, Any]) -> int:
    """Print the table."""
    repetitions, resamples = arguments["repetitions"], arguments["resamples"]
    print(f"{repetitions} comparisons a line, {arguments['images']} images, {resamples} resamples")
    print("             95 % intervals that hold the truth, %              any false    difference")
    print("seeds  luck    AP   AP50  class 0 class 1 class 2  together   verdict, %   in AP seen, %")
    for seeds in [arguments["seeds"]] if arguments["seeds"] else [2, 3, 5]:
        for luck in [arguments["luck"]] if arguments["luck"] is not None else [0.0, 0.03, 0.1]:
            world = World(images=arguments["images"], objects=OBJECTS, training_spread=luck)
            found = repeat_comparisons(world, SHIFT, seeds, resamples, repetitions, arguments["seed"])
            shares = " ".join(f"{100 * share:6.1f} " for share in [*found.covered, found.covered.mean()])
            outcome = f"{100 * found.false_verdicts:9.1f}   {100 * found.true_verdicts[0]:12.1f}"
            print(f"{seeds:5}  {luck:4} {shares}   {outcome}", flush=True)
    print(_speed())
    return 0


def _speed() -> str:
    world = World(images=500, objects=(1.0,) * 10)
    matches = simulate_matches(world, {"bce": (0.0,) * 10, "focal": (0.0,) * 10}, 1, np.random.default_rng(0))
    metrics = Metrics.of(matches["bce"][0], [str(index) for index in range(10)])
    started, started_cpu = time.perf_counter(), time.process_time()
    for trials in matches.values():
        measure_resamples(trials, metrics, 1000)
    return (
        "500 images x 10 classes x 1,000 resamples of two trainings with "
        f"{len(matches['bce'][0].scores)} detections each: {time.perf_counter() - started:.1f} s, "
        f"{time.process_time() - started_cpu:.1f} s of CPU"
    )


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
