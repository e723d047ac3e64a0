"""How often the intervals and verdicts of `yolo-focal compare` are right, on simulated trainings with known truth.

Use: python scripts/check_bootstrap_coverage.py repetitions=400 draws=100
Prints, for several sizes of chance, how many of the 95 % intervals hold the true difference, quantity by quantity, and
how many comparisons of equal configurations end with any false verdict; then the time of one large bootstrap.
"""

import sys
import time

import numpy as np

from yolo_focal.commands.arguments import Argument, number, parse_arguments
from yolo_focal.experiments.bootstrap import draw_measurements
from yolo_focal.experiments.quantities import Quantities
from yolo_focal.experiments.simulation import World, simulate_comparison, simulate_matches, true_difference

ARGUMENTS = (
    Argument("repetitions", 400, "comparisons per line", number(int, 1)),
    Argument("draws", 100, "resamples of the images behind each interval", number(int, 10)),
    Argument("images", 60, "images of a simulated split", number(int, 10)),
)
OBJECTS = (2.0, 1.0, 0.5)  # mean number in an image, class by class
HALF_A_STEP = {"bce": (0.0,) * 3, "focal": (0.1, 0.2, 0.3)}
EQUAL = dict.fromkeys(("bce", "focal", "qfl"), (0.0,) * 3)
CASES = ((3, 0.0), (3, 0.03), (3, 0.1), (5, 0.03), (5, 0.1))  # seeds, and how much trainings differ by luck


def main() -> None:
    arguments = parse_arguments("check_bootstrap_coverage", ARGUMENTS, sys.argv[1:])
    repetitions, draws = arguments["repetitions"], arguments["draws"]
    print(f"{repetitions} comparisons a line, {arguments['images']} images, {draws} draws")
    print("seeds  luck  intervals with the true difference, %: AP, AP50, class 0, 1, 2   any false verdict, %")
    for seeds, luck in CASES:
        world = World(images=arguments["images"], objects=OBJECTS, training_spread=luck)
        truth = true_difference(world, HALF_A_STEP, 10 * repetitions, np.random.default_rng(1))
        covered = np.zeros(len(truth))
        false_verdicts = 0
        for repetition in range(repetitions):
            random = np.random.default_rng([2, repetition])
            differences = [
                each.difference for each in simulate_comparison(world, HALF_A_STEP, seeds, draws, random)["focal"]
            ]
            covered += [each.low <= true <= each.high for each, true in zip(differences, truth, strict=True)]
            verdicts = simulate_comparison(world, EQUAL, seeds, draws, random)
            false_verdicts += any(each.word != "cannot tell" for several in verdicts.values() for each in several)
        shares = "  ".join(f"{100 * share:5.1f}" for share in covered / repetitions)
        print(f"{seeds:5}  {luck:4}  {shares}  {100 * false_verdicts / repetitions:34.1f}", flush=True)
    _speed()


def _speed() -> None:
    world = World(images=500, objects=(1.0,) * 10)
    equal = {"bce": (0.0,) * 10, "focal": (0.0,) * 10}
    matches = simulate_matches(world, equal, 1, np.random.default_rng(0))
    quantities = Quantities.of(matches["bce"][0], [str(index) for index in range(10)])
    started = time.perf_counter()
    for trials in matches.values():
        draw_measurements(trials, quantities, 1000)
    rows = len(matches["bce"][0].scores)
    print(
        f"500 images x 10 classes x 1,000 draws of 2 trainings, {rows} detections each: "
        f"{time.perf_counter() - started:.1f} s"
    )


if __name__ == "__main__":
    main()
