"""Holm's correction, the words, and the advice on open questions."""

import dataclasses
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo_focal.comparison.statistics.bootstrap import Difference, VarianceComponents
from yolo_focal.comparison.statistics.verdicts import LEVEL, RequiredSize, holm, judge


def rejected_step_by_step(p_values, weights, level):
    """Holm 1979, weighted: while the smallest p / w is within level / (sum of remaining weights), reject it."""
    remaining = set(range(len(p_values)))
    rejected = set()
    while remaining:
        index = min(remaining, key=lambda i: p_values[i] / weights[i])
        if p_values[index] > level * weights[index] / sum(weights[i] for i in remaining):
            break
        rejected.add(index)
        remaining.remove(index)
    return rejected


@given(st.lists(st.tuples(st.floats(1e-6, 1), st.floats(0.05, 1)), min_size=1, max_size=8), st.floats(0.001, 0.3))
def test_adjusted_p_values_reject_what_the_procedure_rejects(pairs, level):
    """Comparing adjusted p-values with the level is Holm's step-down procedure."""
    p_values = [p for p, _ in pairs]
    total = sum(weight for _, weight in pairs)
    weights = [weight / total for _, weight in pairs]
    adjusted = holm(p_values, weights)
    near = any(abs(value - level) < 1e-9 for value in adjusted)
    if not near:
        assert {i for i, value in enumerate(adjusted) if value <= level} == rejected_step_by_step(
            p_values, weights, level
        )


def test_equal_weights_are_the_ordinary_procedure():
    """The textbook example: sorted p-values times m, m - 1, ..., made monotone."""
    assert holm([0.01, 0.04, 0.03, 0.005], [0.25] * 4) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_a_metric_without_p_value_stays_open_and_keeps_its_share():
    """NaN is never rejected and does not lighten the correction of the others."""
    adjusted = holm([0.02, math.nan], [0.5, 0.5])
    assert adjusted[0] == pytest.approx(0.04)
    assert math.isnan(adjusted[1])


def difference(metric="AP", value=0.1, p_value=0.001, seeds=3, images=200, parts=(1e-4, 1e-4, 1e-4)):
    """A difference with the given chances; the interval plays no part in verdicts."""
    return Difference(
        metric,
        0.5 + value,
        0.5,
        value,
        value - 0.01,
        value + 0.01,
        p_value,
        VarianceComponents(images, seeds, *parts, parts[1] + parts[2]),
    )


def test_words_follow_sign_and_corrected_p_value():
    """better, worse, cannot tell."""
    rows = [
        difference(value=0.1),
        difference("AP50", -0.1),
        difference("AP rare", p_value=0.04),
        difference("AP common", p_value=0.5),
    ]
    verdicts = judge({"focal": rows})["focal"]
    assert [each.word for each in verdicts] == ["better", "worse", "cannot tell", "cannot tell"]
    assert verdicts[2].adjusted_p > LEVEL > verdicts[2].difference.p_value


def test_the_correction_spans_configurations():
    """What one configuration could claim alone it cannot claim beside four others."""
    alone = judge({"focal": [difference(p_value=0.02), difference("AP50", p_value=0.9)]})
    among = judge({f"focal {n}": [difference(p_value=0.02), difference("AP50", p_value=0.9)] for n in range(5)})
    assert alone["focal"][0].word == "better"
    assert all(several[0].word == "cannot tell" for several in among.values())


def test_one_seed_never_settles_anything():
    """However clear the images are, one training has unknown luck."""
    verdict = judge({"focal": [difference(p_value=1e-12, seeds=1, parts=(1e-6, math.nan, 0.0)), difference("AP50")]})
    assert verdict["focal"][0].word == "cannot tell"


def settled_share(true, components, seeds, images_times, level=LEVEL / 2):
    """Share of experiments of a size that settle a true difference, by normal approximation of many degrees."""
    error = components.standard_error(seeds, images_times * components.images)
    critical = 2.2414  # two-sided 2.5 % of the normal distribution
    return 0.5 * math.erfc((critical - true / error) / math.sqrt(2)), level


def test_the_advised_numbers_would_settle_the_question():
    """With the advised numbers the power is at least 80 %; with clearly fewer it is not."""
    open_one = difference(value=0.022, p_value=0.2, seeds=20, images=400, parts=(1e-5, 4e-5, 1e-5))
    required = judge({"focal": [open_one, difference("AP50", p_value=0.9)]})["focal"][0].required
    both = required.both_times
    for seeds, times in ((required.seeds, 1.0), (20, required.images_times), (20 * both, both)):
        assert settled_share(0.022, open_one.components, seeds, times)[0] >= 0.78
        assert settled_share(0.022, open_one.components, 0.6 * seeds, 0.6 * times)[0] < 0.8


def test_what_seeds_alone_cannot_settle_is_not_promised():
    """Where images are the uncertain part, no number of seeds is advised, and the other way round."""
    by_images = difference(value=0.01, p_value=0.4, parts=(1e-4, 0.0, 0.0))
    by_seeds = difference(value=0.01, p_value=0.4, parts=(0.0, 1e-4, 0.0))
    first, second = (
        judge({"focal": [each, difference("AP50", p_value=0.9)]})["focal"][0].required for each in (by_images, by_seeds)
    )
    assert first.seeds is None and first.images_times is not None
    assert second.seeds is not None and second.images_times is None


def test_seeds_alone_are_advised_up_to_five_times_those_at_hand():
    """Twenty seeds that saw a small difference are told of the many that would settle it; five hear "too small"."""
    required = []
    for seeds, variance in ((20, 2e-5), (5, 8e-5)):  # the same trainings
        each = difference(value=0.007, p_value=0.1, seeds=seeds, images=87, parts=(0.0, variance, 0.0))
        required.append(judge({"focal": [each, difference("AP50", p_value=0.9)]})["focal"][0].required)
    assert 50 < required[0].seeds <= 100 and required[1] == RequiredSize(None, None, None)


def test_both_together_ask_for_no_more_seeds_than_seeds_alone_may():
    """What 50 seeds on more images would not settle is too small."""
    open_one = difference(value=0.02, p_value=0.2, seeds=5, images=100, parts=(1e-4, 1e-4, 0.0))
    both = judge({"focal": [open_one, difference("AP50", p_value=0.9)]})["focal"][0].required.both_times
    assert both is None or both * 5 <= 50


def test_weights_add_up_whatever_the_size_of_the_comparison():
    """With every p-value at the level nothing is ever rejected but the whole family at once is at 5 %."""
    for configurations, rows in itertools.product((1, 3), (1, 12)):
        several = {
            f"c{n}": [difference(p_value=0.9), *(difference(f"AP class {i}", p_value=0.9) for i in range(rows))]
            for n in range(configurations)
        }
        assert all(each.adjusted_p == 1 for verdicts in judge(several).values() for each in verdicts)


def test_both_together_is_the_least_that_settles():
    """A tenth less of seeds and images would leave the question open."""
    open_one = difference(value=0.022, p_value=0.2, seeds=20, images=400, parts=(1e-5, 4e-5, 1e-5))
    both = judge({"focal": [open_one, difference("AP50", p_value=0.9)]})["focal"][0].required.both_times

    def settles(times):
        components, size = open_one.components, (20 * times, 400 * times)
        return components.least_shown(LEVEL / 2, *size) + 0.8416212 * components.standard_error(*size) <= 0.022

    assert settles(both) and not settles(both - 0.1)


def test_ap_has_half_of_the_level_and_all_other_questions_the_other_half():
    """Each half shared by the configurations."""
    rows = [difference(), difference("AP50"), difference("AP rare")]
    shares = [each.share for verdicts in judge({"focal": rows, "qfl": rows}).values() for each in verdicts]
    assert shares == pytest.approx([0.25, 0.125, 0.125] * 2)


def test_nothing_is_advised_where_there_is_no_interval():
    """As of seeds that all differ by the same."""
    unknown = dataclasses.replace(difference(p_value=math.nan), low=math.nan, high=math.nan)
    assert judge({"focal": [unknown, difference("AP50")]})["focal"][0].required is None
