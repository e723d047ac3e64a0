"""Print how long losses take, forward and backward, as ratios to the stock binary cross-entropy in the same process.

    GOMP_CPU_AFFINITY="0 1" OMP_NUM_THREADS=2 python benchmarks/benchmark_loss.py

Every round times each implementation once, one after the other, so that a disturbance of the machine hits all alike;
the ratio printed is the median over the rounds of the ratio to stock BCE in the same round. Unpinned threads may share
a core, which makes any of these times meaningless. On a machine that other programs share, take one thread and
--clock cpu: processor time counts the work of this process only. --help lists the options.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from yolo_focal.losses import LOSSES, set_backend

GAMMA, ALPHA = 1.5, 0.25
# Class scores of YOLO at 640 pixels for COCO and for 3 classes, and the finest objectness level of the anchor detector.
SHAPES = {(16, 8400, 80): 0.0125 / 80, (16, 8400, 3): 0.0125 / 3, (16, 3, 80, 80): 0.005}

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}

Step = Callable[[Tensor, Tensor], Tensor]


def stock_bce(x: Tensor, t: Tensor) -> Tensor:
    """What Ultralytics computes: the element-wise loss, then its sum."""
    return F.binary_cross_entropy_with_logits(x, t, reduction="none").sum()


def textbook_focal(x: Tensor, t: Tensor) -> Tensor:
    """Focal loss as it is commonly written over an element-wise cross-entropy, YOLOv5's formula."""
    probability = torch.sigmoid(x)
    hit = t * probability + (1 - t) * (1 - probability)
    balance = t * ALPHA + (1 - t) * (1 - ALPHA)
    return (balance * (1 - hit) ** GAMMA * F.binary_cross_entropy_with_logits(x, t, reduction="none")).sum()


def ours(name: str, backend: str) -> Step:
    """A row of LOSSES, summed, on one backend."""
    loss: nn.Module = LOSSES[name].make(gamma=GAMMA, alpha=ALPHA, reduction="sum")

    def step(x: Tensor, t: Tensor) -> Tensor:
        set_backend(backend)
        result: Tensor = loss(x, t)
        return result

    return step


def ours_with_auto_gain(x: Tensor, t: Tensor) -> Tensor:
    """Focal loss times the gain that gives its gradient the size of BCE's, as fl_gain=auto has it; eager."""
    set_backend("eager")
    loss: Any = LOSSES["focal"].make(gamma=GAMMA, alpha=ALPHA, reduction="sum")
    measured = loss.measured(x, t)
    result: Tensor = measured.loss * measured.gain
    return result


def implementations(device: str, rows: list[str]) -> dict[str, Step]:
    """Everything that is timed, by name; the first is what the others are compared with."""
    steps: dict[str, Step] = {"stock BCE": stock_bce, "focal, YOLOv5's formula": textbook_focal}
    try:
        from torchvision.ops import sigmoid_focal_loss

        steps["focal, torchvision"] = lambda x, t: sigmoid_focal_loss(x, t, ALPHA, GAMMA, reduction="sum")
    except ImportError:
        pass
    fused = {"triton": "Triton", "compile": "compiled"} if device == "cuda" else {"compile": "compiled"}
    steps |= {f"focal, ours, {label}": ours("focal", backend) for backend, label in fused.items()}
    steps |= {f"{name}, ours, eager": ours(name, "eager") for name in rows}
    return steps | ({"focal, ours, eager, gain auto": ours_with_auto_gain} if "focal" in rows else {})


def operands(shape: tuple[int, ...], positives: float, device: str, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Logits of an untrained detector and soft targets, the share `positives` of which are not 0."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=generator) * 2 - 5
    t = torch.rand(shape, generator=generator) * (torch.rand(shape, generator=generator) < positives)
    return x.to(device, dtype).requires_grad_(), t.to(device)


def run_once(step: Step, x: Tensor, t: Tensor, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one forward and backward pass."""
    x.grad = None
    synchronise(x)
    start = clock()
    torch.autograd.backward(step(x, t))
    synchronise(x)
    return clock() - start


def synchronise(x: Tensor) -> None:
    """Wait for the GPU, where there is one."""
    if x.is_cuda:
        torch.cuda.synchronize()


def extra_memory(step: Step, x: Tensor, t: Tensor) -> float:
    """Peak memory of one pass over what was there before, in units of the logits' size; Linux or CUDA only."""
    x.grad = None
    if x.is_cuda:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run_once(step, x, t)
        return (torch.cuda.max_memory_allocated() - before) / x.nbytes
    Path("/proc/self/clear_refs").write_text("5")  # the kernel's peak counter starts again from now
    before = resident("VmRSS")
    run_once(step, x, t)
    return (resident("VmHWM") - before) / x.nbytes


def resident(field: str) -> int:
    """A size in bytes from the kernel's account of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


def main() -> None:
    """Read the options; print one table for each shape."""
    elementwise = [name for name, row in LOSSES.items() if row.elementwise]
    shapes = {",".join(map(str, shape)): shape for shape in SHAPES}
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="where to run")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"), help="of the logits")
    parser.add_argument("--rounds", default=15, type=int, help="measurements of each implementation")
    parser.add_argument("--clock", default="wall", choices=CLOCKS, help="wall time, or processor time of this process")
    parser.add_argument("--rows", nargs="+", default=elementwise, choices=elementwise, help="losses to time, by name")
    parser.add_argument("--shape", action="append", choices=shapes, help="logits to time them on, default all")
    parser.add_argument("--busy", default=0, type=int, help="processes that keep a core busy meanwhile")
    options = parser.parse_args()
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(options.busy)]
    try:
        print_tables(options, shapes)
    finally:
        for other in others:
            other.kill()


def print_tables(options: argparse.Namespace, shapes: dict[str, tuple[int, ...]]) -> None:
    """Time everything and print."""
    # What a training does early on: once glibc has freed a block of this size it no longer returns smaller ones to the
    # system, and the times of small shapes are not those of page faults.
    torch.empty(30 << 20, dtype=torch.uint8)
    threads = f"{torch.get_num_threads()} threads"
    print(
        f"torch {torch.__version__}, {options.device}, {threads}, {options.rounds} rounds, {options.clock} time"
        + (f", {options.busy} cores busy" if options.busy else "")
    )
    for shape, positives in [(shapes[key], SHAPES[shapes[key]]) for key in options.shape or shapes]:
        x, t = operands(shape, positives, options.device, getattr(torch, options.dtype))
        steps = implementations(options.device, options.rows)
        for step in steps.values():
            run_once(step, x, t)
        times: dict[str, list[float]] = {name: [] for name in steps}
        for _ in range(options.rounds):
            for name, step in steps.items():
                times[name].append(run_once(step, x, t, CLOCKS[options.clock]))
        print(f"\n{shape} {options.dtype}, N = {x.nbytes / 1e6:.1f} MB\n")
        print("| implementation | ratio to stock BCE | ms | extra memory |\n|---|---|---|---|")
        for name, step in steps.items():
            ratio = statistics.median(mine / stock for mine, stock in zip(times[name], times["stock BCE"], strict=True))
            milliseconds = statistics.median(times[name]) * 1e3
            # Small blocks are taken from what the process already holds, so that the peak would not show them.
            memory = f"+{extra_memory(step, x, t):.1f} N" if x.is_cuda or x.nbytes > 32e6 else "-"
            print(f"| {name} | {ratio:.2f} | {milliseconds:.1f} | {memory} |")


if __name__ == "__main__":
    main()
