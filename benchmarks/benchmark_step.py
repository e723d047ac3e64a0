"""Time whole training steps with stock BCE and with focal, interleaved in one process, and print the table.

    python benchmarks/benchmark_step.py batch=8 imgsz=320 steps=40

For stable numbers on a CPU, pin the threads: GOMP_CPU_AFFINITY="0 1" OMP_NUM_THREADS=2. On a busy machine clock=cpu,
with OMP_NUM_THREADS=1, counts the processor time of the process instead.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

import yolo_focal
from yolo_focal.arguments.key import Key, choice, in_range, text
from yolo_focal.commands.exit_codes import run_script

LOSSES: dict[str, dict[str, Any]] = {
    "stock BCE": {},
    "focal": {"focal": True},
    "quality focal": {"fl_loss": "qfl"},
}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
ARGUMENTS = (
    Key("model", "yolo11n.yaml", "architecture to train", read=text),
    Key("batch", 8, "images a step", in_range(int, 1)),
    Key("imgsz", 320, "their side in pixels", in_range(int, 32)),
    Key("steps", 40, "measured steps of each loss", in_range(int, 2)),
    choice("clock", "wall", "wall time, or cpu: processor time of this process", CLOCKS),
)
CLASSES = 80
OBJECTS = 8


def random_batch(images: int, size: int, device: str) -> dict[str, Any]:
    """Random images with `OBJECTS` random boxes each."""
    generator = torch.Generator().manual_seed(0)
    n = images * OBJECTS
    centre, extent = torch.rand(n, 2, generator=generator), torch.rand(n, 2, generator=generator)
    batch = {
        "img": torch.rand(images, 3, size, size, generator=generator),
        "batch_idx": torch.arange(images).repeat_interleave(OBJECTS).float(),
        "cls": torch.randint(0, CLASSES, (n, 1), generator=generator).float(),
        "bboxes": torch.cat([0.2 + 0.6 * centre, 0.05 + 0.3 * extent], 1),
    }
    return {name: tensor.to(device) for name, tensor in batch.items()}


def step(clock: Callable[[], float], model: Any, optimizer: torch.optim.Optimizer, batch: dict[str, Any]) -> float:
    """One forward, backward and update; milliseconds."""
    if batch["img"].is_cuda:
        torch.cuda.synchronize()
    start = clock()
    loss, _ = model(batch)
    loss.sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    if batch["img"].is_cuda:
        torch.cuda.synchronize()
    return (clock() - start) * 1e3


def peak_memory(model: Any, batch: dict[str, Any]) -> float:
    """Most bytes allocated at once by tensors during one loss and its backward, in MB, above what was there before."""
    if batch["img"].is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        model(batch)[0].sum().backward()
        return (torch.cuda.max_memory_allocated() - before) / 1e6
    with torch.profiler.profile(profile_memory=True) as profile:
        model(batch)[0].sum().backward()
    held = most = 0
    for event in profile.profiler.kineto_results.events():
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most / 1e6


def main(arguments: dict[str, Any]) -> int:
    """Measure and print."""
    images, size, steps, name = (arguments[key] for key in ("batch", "imgsz", "steps", "model"))
    clock = CLOCKS[arguments["clock"]]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    yolo_focal.enable()
    import ultralytics
    from ultralytics.cfg import get_cfg
    from ultralytics.nn.tasks import DetectionModel

    runs = {}
    for loss, changes in LOSSES.items():
        torch.manual_seed(0)
        model = DetectionModel(name, nc=CLASSES, verbose=False).to(device).train()
        model.args = get_cfg(overrides={"mode": "train", "model": name, **changes})
        runs[loss] = (model, torch.optim.SGD(model.parameters(), lr=1e-4))
    batch = random_batch(images, size, device)
    times: dict[str, list[float]] = {loss: [] for loss in runs}
    for turn in range(steps + 3):
        order = list(runs) if turn % 2 else list(reversed(runs))
        for loss in order:
            elapsed = step(clock, *runs[loss], batch)
            if turn >= 3:  # the first steps allocate
                times[loss].append(elapsed)
    stock = times["stock BCE"]
    print(f"{name}, {CLASSES} classes, batch {images}, {size} px, {device}, {torch.get_num_threads()} threads,")
    print(f"torch {torch.__version__}, ultralytics {ultralytics.__version__},")
    print(f"median of {steps} interleaved steps, {arguments['clock']} time\n")
    print("| loss | ms a step | ratio to stock, median of pairs | quartiles of the ratio | peak memory, MB |")
    print("|---|---|---|---|---|")
    for loss, (model, _) in runs.items():
        ratios = [mine / theirs for mine, theirs in zip(times[loss], stock, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        median = statistics.median(times[loss])
        print(f"| {loss} | {median:.1f} | {middle:.3f} | {low:.3f} to {high:.3f} | {peak_memory(model, batch):.1f} |")
    return 0


if __name__ == "__main__":
    sys.exit(run_script(__file__, __doc__, ARGUMENTS, main))
