"""Comparisons on disk whose trainings are simulated: everything `compare` leaves behind, in a second."""

import json
from pathlib import Path

import numpy as np

from tests.comparison.simulation import World, simulate_matches
from yolo_focal.comparison.configurations import parse_configurations
from yolo_focal.comparison.journal import Journal
from yolo_focal.comparison.plan import Plan, Split
from yolo_focal.evaluation.coco_eval import average_precision_from_matches
from yolo_focal.evaluation.matches_file import save_matches

WORLD = World(images=50, objects=(2.0, 1.0, 0.6))
SPLIT = Split("val", 50, ("cell", "dot <b>", "ring"), (900, 300, 60), ("frequent", "common", "rare"))


def plan(out: Path, losses: str = "focal,qfl", seeds: int = 3, **training) -> Plan:
    """A plan that no dataset stands behind."""
    shared = {"epochs": 5, "imgsz": 64, "batch": 4, "device": None, **training}
    configurations = tuple(parse_configurations(losses))
    return Plan(out, "/data/cells.yaml", "yolo11n.yaml", configurations, tuple(range(seeds)), shared, SPLIT)


def carry_out(comparison: Plan, shifts: dict[str, float], failing: tuple[tuple[str, int], ...] = ()) -> Journal:
    """Simulate every trial; `shifts` says how much better a configuration is than the baseline."""
    skills = {each.name: (shifts.get(each.name, 0.0),) * 3 for each in comparison.configurations}
    matches = simulate_matches(WORLD, skills, len(comparison.seeds), np.random.default_rng(4))
    journal = Journal(comparison.out / "trials.jsonl")
    for trial in comparison.trials():
        row = {"configuration": trial.configuration, "seed": trial.seed}
        if (trial.configuration, trial.seed) in failing:
            journal.append({**row, "status": "failed", "error": "RuntimeError: <script>out of memory</script>"})
            continue
        found = matches[trial.configuration][trial.seed]
        (trial.folder / "run").mkdir(parents=True)
        save_matches(trial.folder / "matches.npz", found)
        lines = [f"{epoch},{3 / epoch},{0.1 * epoch}" for epoch in range(1, 6)]
        content = "\n".join(["epoch,train/box_loss,metrics/mAP50-95(B)", *lines])
        (trial.folder / "run" / "results.csv").write_text(content)
        (trial.folder / "trained.json").write_text(json.dumps({"seconds": 12.0, "criterion": {"class": "BCE"}}))
        stats = {"AP": float(average_precision_from_matches(found).mean())}
        journal.append({**row, "status": "finished", "stats": stats, "criterion": {"class": "BCE"}})
    return journal
