"""Which image comes next: a pure function of seed, epoch and position, so that a resumed training draws the same.

An epoch is a systematic sample: an image whose rate is r is in it floor(r) or ceil(r) times, in random order. Data
loaders fetch ahead across the end of an epoch, so workers cannot be told the epoch; each index carries its own.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from yolo_focal.ultra.sampling.exposure import Exposure

__all__ = ["Draw", "EpochBatches", "EpochDraws", "Stream"]

_BUFFERED_BATCHES = 8  # Ultralytics keeps the images of so many batches in memory for its mosaics


class Draw(int):
    """The index of an image, with the place it has in the training.

    Attributes:
        epoch: the first is 0.
        position: within the epoch, over all ranks.
        pastes: whether crops may be pasted.
    """

    epoch: int
    position: int
    pastes: bool

    def __new__(cls, image: int, epoch: int, position: int, pastes: bool) -> "Draw":
        """As `int`, with the three attributes."""
        draw = super().__new__(cls, image)
        draw.epoch, draw.position, draw.pastes = epoch, position, pastes
        return draw

    def __reduce__(self) -> tuple[Any, ...]:
        """To worker processes and back."""
        return Draw, (int(self), self.epoch, self.position, self.pastes)


@dataclass(frozen=True)
class Stream:
    """How a rank cuts an epoch into batches.

    Attributes:
        rank: of this process.
        ranks: number of processes.
        batch: images per batch of one rank.
        batches: per epoch of one rank.
    """

    rank: int
    ranks: int
    batch: int
    batches: int


class EpochDraws:
    """The images of every epoch, in order.

    Args:
        factors: (images,) in proportion to which images are drawn, > 0.
        seed: of the training.
        stop: the first epoch in which all images are drawn alike again.
    """

    def __init__(self, factors: np.ndarray, seed: int, stop: float = math.inf):
        self.factors = np.asarray(factors, float)
        self.seed = seed % 2**32
        self.stop = stop
        self._orders: dict[int, np.ndarray] = {}
        self._shifts: dict[tuple[int, int], np.ndarray] = {}

    def __len__(self) -> int:
        """Number of images, and of draws in an epoch."""
        return len(self.factors)

    def generator(self, *numbers: int) -> np.random.Generator:
        """Random numbers that depend on the seed and `numbers` alone, each >= 0."""
        return np.random.default_rng([self.seed, *numbers])

    def order(self, epoch: int) -> np.ndarray:
        """(images,) the image at every position of an epoch."""
        if epoch not in self._orders:
            if len(self._orders) > 2:  # tiles look back one epoch
                self._orders.pop(min(self._orders))
            self._orders[epoch] = self._drawn(epoch)
        return self._orders[epoch]

    def _drawn(self, epoch: int) -> np.ndarray:
        generator = self.generator(0, epoch)
        factors = self.factors if epoch < self.stop else np.ones(len(self))
        edges = np.cumsum(factors) * (len(self) / factors.sum())
        edges[-1] = len(self)  # rounding must not lose or add a draw
        counts = np.diff(np.floor(edges + generator.random()), prepend=0).astype(int)
        return generator.permutation(np.repeat(np.arange(len(self)), counts))

    def tile(self, draw: Draw, number: int, stream: Stream, workers: int, all_in_memory: bool) -> int:
        """The image of tile `number` (1, 2, ...) of the item that begins with `draw`.

        It is the image that stands some places before the item, as many for the whole epoch: so each tile number, too,
        shows every image as often as the epoch has it. Where images are not all in memory, the places are those that
        the same worker has come through lately, whose images Ultralytics keeps for its mosaics.
        """
        if len(self) < 2:
            return int(draw)
        if all_in_memory:
            shift = self._shift(draw.epoch, number, len(self))
            return int(self.order(draw.epoch)[(draw.position - shift) % len(self)])
        shift = self._shift(draw.epoch, number, min(len(self), _BUFFERED_BATCHES * stream.batch, 1000))
        batch, place = divmod(draw.position // stream.ranks, stream.batch)
        batch += draw.epoch * stream.batches  # counted from the beginning of the training
        earlier, place = divmod(batch // workers * stream.batch + place - shift, stream.batch)
        batch = earlier * workers + batch % workers if earlier >= 0 else batch
        epoch, batch = divmod(batch, stream.batches)
        position = (batch * stream.batch + place) * stream.ranks + stream.rank
        return int(self.order(epoch)[position % len(self)])

    def _shift(self, epoch: int, number: int, window: int) -> int:
        key = epoch, window
        if key not in self._shifts:
            self._shifts = {key: self.generator(1, epoch).permutation(np.arange(1, max(window, 2)))}
        shifts = self._shifts[key]
        return int(shifts[(number - 1) % len(shifts)])


class EpochBatches:
    """Batches of `Draw`s without end, an epoch after the other: stands for the batch sampler of Ultralytics' loader.

    Args:
        sampler: the batch sampler of one epoch that it replaces; its length stays.
        draws: the images of every epoch.
        stream: how they are cut into batches.
        drop_last: whether an incomplete batch at the end of an epoch is left out.

    Attributes:
        epoch: the one that the next iteration begins with.
        paste_until: the first epoch without pasting.
        expected: the epoch whose batches the running iteration gives next; None before the first.
        exposure: what an epoch shows of each class while it is sampled and pasted into.
    """

    def __init__(
        self, sampler: Any, draws: EpochDraws, stream: Stream, drop_last: bool, exposure: Exposure | None = None
    ):
        self.sampler = sampler
        self.draws = draws
        self.stream = stream
        self.drop_last = drop_last
        self.epoch = 0
        self.paste_until = math.inf
        self.expected: int | None = None
        self.exposure = exposure

    def __len__(self) -> int:
        """Batches of one epoch."""
        return self.stream.batches

    def __iter__(self) -> Iterator[list[Draw]]:
        """From epoch `epoch` on."""
        epoch = self.epoch
        while True:
            yield from self.of_epoch(epoch)
            epoch += 1

    def of_epoch(self, epoch: int) -> Iterator[list[Draw]]:
        """The batches of one epoch; ranks take turns, and the last ones begin again where the images do not suffice."""
        order, stream = self.draws.order(epoch), self.stream
        pastes = epoch < self.paste_until
        positions = range(stream.rank, math.ceil(len(order) / stream.ranks) * stream.ranks, stream.ranks)
        for start in range(0, len(positions), stream.batch):
            places = positions[start : start + stream.batch]
            if self.drop_last and len(places) < stream.batch:
                return
            yield [Draw(int(order[place % len(order)]), epoch, place, pastes) for place in places]
