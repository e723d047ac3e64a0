"""The images of every epoch: exact counts, the same from anywhere, shared out among ranks and tiles."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolo_focal.ultra.sampling.draws import Draw, EpochBatches, EpochDraws, Stream

FACTORS = np.random.default_rng(0).uniform(1, 6, 101)


def batches_of(draws, rank=0, ranks=1, batch=8, drop_last=False):
    """The endless batches of one rank."""
    per_rank = -(-len(draws) // ranks)
    count = per_rank // batch if drop_last else -(-per_rank // batch)
    return EpochBatches(None, draws, Stream(rank, ranks, batch, count), drop_last)


@given(
    factors=st.lists(st.floats(1, 6), min_size=1, max_size=40), seed=st.integers(-1, 2**40), epoch=st.integers(0, 300)
)
@settings(max_examples=60, deadline=None)
def test_an_epoch_keeps_its_length_and_each_image_its_rate(factors, seed, epoch):
    """An image with the rate r is in the epoch floor(r) or ceil(r) times."""
    times = np.bincount(EpochDraws(np.array(factors), seed).order(epoch), minlength=len(factors))
    rates = np.array(factors) * len(factors) / sum(factors)
    assert times.sum() == len(factors)
    assert (times >= np.floor(rates - 1e-9)).all() and (times <= np.ceil(rates + 1e-9)).all()


def test_equal_factors_show_every_image_once():
    """Pasting alone does not change which images are drawn."""
    assert sorted(EpochDraws(np.ones(50), 1).order(7)) == list(range(50))


def test_after_the_stop_every_image_is_shown_once():
    """rare_stop ends the sampling at an epoch."""
    draws = EpochDraws(FACTORS, 1, stop=3)
    assert len(set(draws.order(2))) < 101
    assert sorted(draws.order(3)) == list(range(101))


def test_draws_depend_on_seed_and_epoch_alone():
    """In any order of asking, in a copy of another process, and not on anybody's random numbers."""
    one, other = EpochDraws(FACTORS, 5), pickle.loads(pickle.dumps(EpochDraws(FACTORS, 5)))
    np.random.seed(0)
    orders = [one.order(epoch) for epoch in range(6)]
    np.random.seed(1)
    for epoch in reversed(range(6)):
        assert (other.order(epoch) == orders[epoch]).all()
    assert not (orders[0] == orders[1]).all()
    assert not (EpochDraws(FACTORS, 6).order(0) == orders[0]).all()


def test_a_resumed_training_draws_what_an_uninterrupted_one_would():
    """Batches that begin in epoch 2 are those from epoch 2 on."""
    stream = iter(batches_of(EpochDraws(FACTORS, 5)))
    whole = [next(stream) for _ in range(4 * 13)]
    resumed = batches_of(EpochDraws(FACTORS, 5))
    resumed.epoch = 2
    again = iter(resumed)
    rest = [next(again) for _ in range(2 * 13)]
    assert rest == whole[26:]
    assert [[(draw.epoch, draw.position) for draw in batch] for batch in rest] == [
        [(draw.epoch, draw.position) for draw in batch] for batch in whole[26:]
    ]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_ranks_share_an_epoch_without_overlap(ranks, drop_last):
    """Together they have every position once, the first ones again where the numbers do not divide."""
    draws = EpochDraws(FACTORS, 5)
    seen = []
    for rank in range(ranks):
        batches = list(batches_of(draws, rank, ranks, drop_last=drop_last).of_epoch(4))
        assert len(batches) == batches_of(draws, rank, ranks, drop_last=drop_last).stream.batches
        seen += [draw.position for batch in batches for draw in batch]
        order = draws.order(4)
        assert all(int(draw) == order[draw.position % 101] for batch in batches for draw in batch)
    assert len(set(seen)) == len(seen)
    if not drop_last:
        assert sorted(seen) == list(range(-(-101 // ranks) * ranks))


def test_a_draw_travels_to_a_worker_as_it_is():
    """It is an index, and keeps its place in the training."""
    draw = pickle.loads(pickle.dumps(Draw(7, 3, 11, True)))
    assert draw == 7 and [10, 11, 12, 13, 14, 15, 16, 17][draw] == 17
    assert (draw.epoch, draw.position, draw.pastes) == (3, 11, True)


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_every_tile_number_shows_each_image_as_often_as_the_epoch(number):
    """With all images in memory, tile `number` over the epoch is the epoch itself in another order."""
    draws = EpochDraws(FACTORS, 5)
    batches = batches_of(draws)
    items = [draw for batch in batches.of_epoch(2) for draw in batch]
    tiles = [draws.tile(draw, number, batches.stream, 1, all_in_memory=True) for draw in items]
    assert sorted(tiles) == sorted(draws.order(2)) and tiles != list(draws.order(2))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("ranks", [1, 2])
def test_tiles_of_uncached_images_are_those_the_worker_has_just_loaded(workers, ranks):
    """Among the last eight batches of its own, so that Ultralytics still holds the images; shown as often as drawn."""
    draws = EpochDraws(np.random.default_rng(1).uniform(1, 4, 1024), 5)
    batches = batches_of(draws, rank=ranks - 1, ranks=ranks)
    stream = batches.stream
    recent = {worker: [] for worker in range(workers)}
    shown, drawn, steps = [], [], [batch for epoch in range(3) for batch in batches.of_epoch(epoch)]
    for step, batch in enumerate(steps):
        mine = recent[step % workers]
        window = [*mine[-8 * stream.batch :], *map(int, batch)]
        tiles = [draws.tile(draw, 1, stream, workers, all_in_memory=False) for draw in batch]
        assert step < 8 * workers or set(tiles) <= set(window)
        shown += tiles
        drawn += batch
        mine += map(int, batch)
    rates = draws.factors / draws.factors.sum()
    assert np.dot(np.bincount(shown, minlength=1024), rates) == pytest.approx(
        np.dot(np.bincount(drawn, minlength=1024), rates), rel=0.03
    )


def test_a_single_image_is_its_own_tile():
    """There is nothing else to take."""
    draws = EpochDraws(np.ones(1), 0)
    assert draws.tile(Draw(0, 0, 0, True), 1, Stream(0, 1, 4, 1), 1, all_in_memory=True) == 0


def test_the_tiles_of_an_item_are_different_images():
    """A mosaic of one image three times would be none."""
    draws = EpochDraws(np.ones(101), 5)
    batches = batches_of(draws)
    for draw in (draw for batch in batches.of_epoch(2) for draw in batch):
        tiles = [draws.tile(draw, number, batches.stream, 1, all_in_memory=True) for number in (1, 2, 3)]
        assert len({int(draw), *tiles}) == 4
