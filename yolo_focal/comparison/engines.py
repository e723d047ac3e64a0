"""Who carries trials out: this process one after the other, or a Ray cluster. The trial itself is the same code."""

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from yolo_focal.comparison.trial import FirstEpoch, Trial, failed_row, run_trial
from yolo_focal.errors import MissingExtraError

__all__ = ["ENGINES", "check_engine", "run_local", "run_on_ray"]

LOST_WORKER_RETRIES = 3

Rows = Iterator[dict[str, Any]]


def run_local(trials: Sequence[Trial], parallel: int, first_epoch: FirstEpoch) -> Rows:
    """Carry the trials out in this process, one at a time; yields the row of each as it ends."""
    return (run_trial(trial, first_epoch) for trial in trials)


def run_on_ray(trials: Sequence[Trial], parallel: int, first_epoch: FirstEpoch) -> Rows:
    """Carry the trials out on the Ray cluster this process belongs to, or on a local one started for them.

    A trial takes one CPU, and one GPU where the cluster has any and the trial is not for the CPU. One whose worker is
    lost is started again elsewhere, up to LOST_WORKER_RETRIES times. All workers have to see the same files.

    Args:
        trials: what to do.
        parallel: CPUs of a local cluster, that is trials at a time; an existing cluster decides for itself.
        first_epoch: is not called: epochs end in other processes.

    Raises:
        MissingExtraError: Ray is not installed.
    """
    ray = _ray()
    ours = not ray.is_initialized()
    if ours:
        _connect(ray, parallel)
    try:
        uses_gpu = ray.cluster_resources().get("GPU", 0) > 0 and trials[0].arguments.get("device") != "cpu"
        remote = ray.remote(num_cpus=1, num_gpus=int(uses_gpu), max_retries=LOST_WORKER_RETRIES)(run_trial)
        waiting = {remote.remote(trial): trial for trial in trials}
        while waiting:
            done, _ = ray.wait(list(waiting), num_returns=1)
            trial = waiting.pop(done[0])
            try:
                yield ray.get(done[0])
            except ray.exceptions.RayError as error:
                yield failed_row(trial, error)
    finally:
        if ours:
            ray.shutdown()


def check_engine(name: str) -> None:
    """Raise MissingExtraError where the engine `name` needs a package that is not installed."""
    if name == "ray":
        _ray()


def _connect(ray: Any, parallel: int) -> None:
    """Join the cluster of RAY_ADDRESS, or start a local one that ends with this process."""
    quiet = {"log_to_driver": False, "logging_level": "error"}
    if os.environ.get("RAY_ADDRESS"):
        ray.init(address=os.environ["RAY_ADDRESS"], **quiet)
    else:
        ray.init(address="local", num_cpus=parallel, include_dashboard=False, **quiet)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("engine=ray needs Ray; install it: pip install 'yolo_focal[ray]'") from error
    return ray


ENGINES: dict[str, Callable[[Sequence[Trial], int, FirstEpoch], Rows]] = {"local": run_local, "ray": run_on_ray}
