"""A trainer whose two DDP ranks are real processes on a CPU, and trainers that write down what they are fed.

Ultralytics starts ranks for accelerators alone. `TwoRanks` says how many there are, connects them by gloo and keeps
the model on the CPU; the launcher, a rank's program, loaders, DDP, broadcasts, saving and resuming are Ultralytics'.
"""

import hashlib
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.utils import LOCAL_RANK, RANK
from ultralytics.utils.torch_utils import unwrap_model

from yolo_focal.ultra.criteria.schedule import schedule_of

RECORDS, DIES_IN = "TEST_RECORDS", "TEST_DIES_IN"  # environment variables: a folder, an epoch


class Recording(DetectionTrainer):
    """Writes one line of JSON for each batch that it is fed, and one at its end."""

    def write(self, **line: Any) -> None:
        """Append a line to the file of this rank."""
        with (Path(os.environ[RECORDS]) / f"{max(RANK, 0)}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def preprocess_batch(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Write down the images before they are scaled."""
        pixels = [hashlib.sha256(image.numpy().tobytes()).hexdigest() for image in batch["img"]]
        boxes = [sorted(batch["bboxes"][batch["batch_idx"] == index].tolist()) for index in range(len(pixels))]
        self.write(epoch=self.epoch, files=[Path(file).name for file in batch["im_file"]], pixels=pixels, boxes=boxes)
        return super().preprocess_batch(batch)

    def _do_train(self) -> None:
        super()._do_train()
        model = unwrap_model(self.model)
        digest = hashlib.sha256()
        for parameter in model.parameters():
            digest.update(parameter.detach().numpy().tobytes())
        self.write(
            weights=digest.hexdigest(),
            exposure=self.train_loader.batch_sampler.exposure.after.tolist(),
            gradients={term: sums.state() for term, sums in schedule_of(model).gradients.items()},
        )


class OnCpu(nn.parallel.DistributedDataParallel):
    """DDP refuses `device_ids` of a CPU, which Ultralytics gives always."""

    def __init__(self, module: nn.Module, device_ids: Any = None, **options: Any):
        super().__init__(module, **options)


class TwoRanks(Recording):
    """As with `device=0,1`."""

    def __init__(self, *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.world_size = 2
        self.ddp = LOCAL_RANK == -1

    def _setup_ddp(self) -> None:
        nn.parallel.DistributedDataParallel = OnCpu  # in the process of a rank, which ends with the training
        distributed.init_process_group("gloo", timeout=timedelta(seconds=120), rank=RANK, world_size=self.world_size)
        torch.set_num_threads(1)

    def final_eval(self) -> None:
        """Left out: outside an epoch Ultralytics' validator asks CUDA for the device of a rank."""

    def save_model(self) -> Any:
        """Die where the test asks for it, as a rank may at any time."""
        saved = super().save_model()
        if os.environ.get(DIES_IN) == str(self.epoch):
            os._exit(9)
        return saved
