"""Checkpoints that survive a kill or a full disk, and one clear sentence where one is damaged.

Upstream writes last.pt and best.pt in place. Here they are written beside their place and renamed, so that at every
moment the last complete one is there to resume from.

A checkpoint is a pickle, which may run any code when it is loaded. The commands load it with Ultralytics' safe loader,
which builds known classes only; `trust=True` loads it as Ultralytics does.
"""

import contextlib
import inspect
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from yolo_focal.errors import CheckpointError, UntrustedCheckpointError, reason_of
from yolo_focal.ultra import host
from yolo_focal.ultra.hooks.seam import seam, takes

__all__ = ["SEAMS", "explained_architecture_errors", "refuse_missing", "safe_loading"]

# Read by Ultralytics once, when it is imported; by the seams below at every load. Child processes inherit it.
_SAFE = "ULTRALYTICS_SAFE_LOAD"


@seam(
    "BaseTrainer.save_model",
    "takes (self) and writes self.last and, of the best epoch, self.best",
    takes("self", uses=("last", "best", "write_bytes")),
)
def _save_model(original: Callable[[Any], Any], self: Any) -> Any:
    last, best = self.last, self.best
    self.last, self.best = (path.with_name(f"{path.name}.part") for path in (last, best))
    _remove(self.last, self.best)  # what a killed process left is not of this epoch
    try:
        saved = original(self)
        for part, path in ((self.best, best), (self.last, last)):
            if part.exists():
                part.replace(path)
        return saved
    except OSError as error:
        raise CheckpointError(
            f"the checkpoint of epoch {self.epoch + 1} cannot be written to {last.parent} ({error.strerror}); "
            f"earlier ones are intact: make room, then resume=True from {last}"
        ) from error
    finally:
        _remove(self.last, self.best)
        self.last, self.best = last, best


def _remove(*files: Path) -> None:
    for file in files:
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)


def refuse_missing(name: str | Path) -> None:
    """Raise CheckpointError for a checkpoint in a folder that is not there, unless Ultralytics has one of its name.

    Ultralytics would ask GitHub for it, several times, and then show the error of the operating system.
    """
    path = Path(name)
    if path.suffix.lower() != ".pt" or len(path.parts) < 2 or "://" in str(name) or str(name).startswith("ul:"):
        return
    released = path.name in host.GITHUB_ASSETS_NAMES or path.name.startswith(("yolov3", "yolov5"))
    if not (released or path.exists() or (Path(host.SETTINGS["weights_dir"]) / path).exists()):
        raise CheckpointError(f"model={name} does not exist; give a checkpoint that is there")


@contextlib.contextmanager
def safe_loading(trust: bool = False) -> Iterator[None]:
    """Checkpoints and model YAMLs loaded meanwhile, here and in processes started meanwhile, execute nothing.

    Args:
        trust: load them as Ultralytics does, by unpickling, and by evaluating the activation that they name.
    """
    before, built_safely = os.environ.get(_SAFE), host.tasks.SAFE_LOAD
    os.environ[_SAFE] = "false" if trust else "true"
    host.tasks.SAFE_LOAD = not trust  # read where a network is built from the description in a file
    try:
        yield
    finally:
        host.tasks.SAFE_LOAD = built_safely
        if before is None:
            del os.environ[_SAFE]
        else:
            os.environ[_SAFE] = before


def _safely() -> bool | None:
    """What the environment says, or None where it says nothing."""
    said = os.environ.get(_SAFE, "").lower()
    return None if not said else said in ("1", "true", "yes", "on")


@seam(
    "tasks.torch_safe_load",
    "takes the file of a checkpoint and whether to load it safely, and load_checkpoint calls it",
    lambda function: "safe_only" in inspect.signature(function).parameters,
)
def _safe_load(original: Callable[..., Any], weight: Any, *args: Any, **kwargs: Any) -> Any:
    if not args and kwargs.get("safe_only") is None:
        kwargs["safe_only"] = _safely()
    try:
        return original(weight, *args, **kwargs)
    except (TypeError, ValueError, LookupError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason, named = reason_of(error), _named(error)
        # Bytes that are no pickle are refused in the same words, but for the class.
        if "outside the supported" in reason and kwargs.get("safe_only") and (named or zipfile.is_zipfile(weight)):
            raise UntrustedCheckpointError(
                f"{weight} holds classes that are not Ultralytics' own{named}: loading them could run any "
                "code, so nothing was loaded; give trust=True if you know where the file comes from"
            ) from error
        raise CheckpointError(
            f"{weight} cannot be read, damaged or no checkpoint at all; use another one of the run ({reason[:200]})"
        ) from error


@contextlib.contextmanager
def explained_architecture_errors() -> Iterator[None]:
    """Errors of Ultralytics about the description of a network, in one sentence.

    Raises:
        UntrustedCheckpointError: it names code that safe loading does not run.
        CheckpointError: it is not written as one.
    """
    try:
        yield
    except SyntaxError as error:
        raise CheckpointError(f"the architecture has a value that is no literal ({error.msg}); correct it") from error
    except TypeError as error:
        reason = reason_of(error)
        if not (_safely() and "restricted" in reason):
            raise
        raise UntrustedCheckpointError(
            f"the architecture names what is no layer or activation of torch.nn ({reason}), which could run any code; "
            "nothing was built; give trust=True if you know where it comes from"
        ) from error


def _load_weights(original: Callable[..., Any], file: Any, *args: Any, **kwargs: Any) -> Any:
    """As Ultralytics loads the weights of SAM and YOLO-NAS, but for what a file may build."""
    if not _safely():
        return original(file, *args, **kwargs)
    try:
        return original(file, *args, **{**kwargs, "weights_only": True})
    except pickle.UnpicklingError as error:
        raise UntrustedCheckpointError(
            f"{getattr(file, 'name', file)} holds more than weights: loading it could run any code, so nothing was "
            "loaded; give trust=True if you know where the file comes from"
        ) from error


def _named(error: Exception) -> str:
    """The first class that the safe loader refused, where torch tells it."""
    found = re.search(r"GLOBAL (\S+)", str(error.__cause__))
    return f" ({found[1]})" if found else ""


SEAMS = (
    _save_model,
    _safe_load,
    *(
        seam(f"{owner}.torch_load", "loads the weights of SAM or YOLO-NAS")(_load_weights)
        for owner in ("sam_build", "sam3_build", "nas_model")
    ),
)
