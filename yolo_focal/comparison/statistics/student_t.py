"""Student's t distribution for any real number of degrees of freedom, which intervals from few seeds need."""

import math

__all__ = ["student_critical", "student_quantile", "student_two_sided"]

_SMALLEST = 1e-300  # keeps the continued fraction's denominators from zero (Lentz)


def student_two_sided(t: float, degrees: float) -> float:
    """P(|T| >= |t|) of Student's t with `degrees` > 0 degrees of freedom; infinite degrees are the normal."""
    if math.isinf(degrees):
        return math.erfc(abs(t) / math.sqrt(2))
    return _incomplete_beta(degrees / (degrees + t * t), degrees / 2, 0.5)


def student_quantile(probability: float, degrees: float) -> float:
    """The t with P(T <= t) = `probability`, in (0, 1)."""
    if probability < 0.5:
        return -student_critical(2 * probability, degrees)
    return student_critical(2 * (1 - probability), degrees)


def student_critical(level: float, degrees: float) -> float:
    """The t >= 0 with P(|T| >= t) = `level`, in (0, 1]; Newton's method on the logarithms of both."""
    if level >= 1:
        return 0.0
    log_t = 0.0
    for _ in range(200):
        t = math.exp(log_t)
        tail = student_two_sided(t, degrees)
        step = (math.log(tail) - math.log(level)) * tail / (2 * t * _density(t, degrees))
        log_t += max(-1.0, min(1.0, step))  # small steps keep the tail above underflow
        if abs(step) < 1e-13:
            break
    return math.exp(log_t)


def _density(t: float, degrees: float) -> float:
    if degrees > 1e6:
        return math.exp(-t * t / 2) / math.sqrt(2 * math.pi)
    log_scale = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - 0.5 * math.log(degrees * math.pi)
    return math.exp(log_scale - (degrees + 1) / 2 * math.log1p(t * t / degrees))


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b) for 0 <= x <= 1 (Abramowitz and Stegun 26.5.8)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below its mean only
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
    return front * _beta_fraction(x, a, b) / a


def _beta_fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for coefficient in (even, odd):
            d = 1 / _away_from_zero(1 + coefficient * d)
            c = _away_from_zero(1 + coefficient / c)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _SMALLEST else _SMALLEST
