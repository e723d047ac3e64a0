"""Student's t against its density, integrated, and against its closed forms."""

import math

import numpy as np
import pytest

from yolo_focal.comparison.statistics.student_t import student_quantile, student_two_sided


def two_sided_by_integration(t, degrees):
    """Twice the integral of the density beyond t, with x = tan(u) so that the tail is finite."""
    u, weight = np.polynomial.legendre.leggauss(400)
    low, high = math.atan(t), math.pi / 2
    u = low + (high - low) * (u + 1) / 2
    constant = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees * math.pi)
    density = constant * (1 + np.tan(u) ** 2 / degrees) ** (-(degrees + 1) / 2) / np.cos(u) ** 2
    return 2 * float((weight * density).sum()) * (high - low) / 2


@pytest.mark.parametrize("degrees", [2.0, 3.7, 9.0, 40.0, 500.0])
@pytest.mark.parametrize("t", [0.1, 1.0, 2.5, 6.0])
def test_two_sided_probability_is_the_integral_of_the_density(t, degrees):
    """P(|T| >= t) is twice the density's integral from t on."""
    assert student_two_sided(t, degrees) == pytest.approx(two_sided_by_integration(t, degrees), rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("t", [0.0, 0.3, 1.0, 12.0])
def test_one_and_two_degrees_have_closed_forms(t):
    """With 1 degree T is Cauchy's; with 2 the probability is 1 - t / sqrt(2 + t^2)."""
    assert student_two_sided(t, 1) == pytest.approx(1 - 2 / math.pi * math.atan(t), abs=1e-12)
    assert student_two_sided(t, 2) == pytest.approx(1 - t / math.sqrt(2 + t * t), abs=1e-12)


def test_infinite_degrees_are_the_normal_distribution():
    """The limit is reached, and continuously."""
    assert student_two_sided(1.959963984540054, math.inf) == pytest.approx(0.05, abs=1e-12)
    assert student_two_sided(2.0, 1e7) == pytest.approx(student_two_sided(2.0, math.inf), rel=1e-5)


@pytest.mark.parametrize("degrees", [1.0, 2.4, 7.0, math.inf])
@pytest.mark.parametrize("probability", [0.01, 0.3, 0.5, 0.8, 0.975, 0.9999])
def test_the_quantile_inverts_the_probability(probability, degrees):
    """P(T <= quantile(p)) = p."""
    t = student_quantile(probability, degrees)
    tail = student_two_sided(t, degrees) / 2
    assert (tail if t < 0 else 1 - tail) == pytest.approx(probability, abs=1e-10)
