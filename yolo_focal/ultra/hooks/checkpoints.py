"""Checkpoints that survive a kill or a full disk, and one clear sentence where one is damaged.

Upstream writes last.pt and best.pt in place. Here they are written beside their place and renamed, so that at every
moment the last complete one is there to resume from.
"""

import contextlib
import functools
import inspect
import pickle
from collections.abc import Callable
from typing import Any

from yolo_focal.errors import CheckpointError
from yolo_focal.ultra.hooks.seam import Seam

__all__ = ["SEAMS"]


def _wrap_save_model(original: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @functools.wraps(original)
    def save_model(self: Any) -> Any:
        last, best = self.last, self.best
        self.last, self.best = (path.with_name(f"{path.name}.part") for path in (last, best))
        try:
            saved = original(self)
            for part, path in ((self.best, best), (self.last, last)):
                if part.exists():
                    part.replace(path)
            return saved
        except OSError as error:
            for part in (self.last, self.best):
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)
            raise CheckpointError(
                f"the checkpoint of epoch {self.epoch + 1} cannot be written to {last.parent} ({error.strerror}); "
                f"earlier ones are intact: make room, then resume=True from {last}"
            ) from error
        finally:
            self.last, self.best = last, best

    return save_model


def _wrap_safe_load(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def torch_safe_load(weight: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return original(weight, *args, **kwargs)
        except (TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())
            raise CheckpointError(
                f"{weight} cannot be read, damaged or no checkpoint at all; use another one of the run ({reason[:200]})"
            ) from error

    return torch_safe_load


SEAMS = (
    Seam(
        owner="BaseTrainer",
        name="save_model",
        fact="takes (self) and writes self.last and, of the best epoch, self.best",
        wrap=_wrap_save_model,
        holds=lambda function: (
            list(inspect.signature(function).parameters) == ["self"]
            and {"last", "best", "write_bytes"} <= set(function.__code__.co_names)
        ),
    ),
    Seam(
        owner="tasks",
        name="torch_safe_load",
        fact="takes the file of a checkpoint, and load_checkpoint calls it",
        wrap=_wrap_safe_load,
    ),
)
