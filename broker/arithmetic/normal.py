"""The standard normal distribution, both ways, with the same bits on every machine.

Quantiles by Wichura's algorithm AS 241 (Applied Statistics 37, 1988), probabilities by Cody's rational approximations
(Mathematics of Computation 23, 1969; his ANORM). Each row of numbers is a polynomial, the constant term first.
"""

from __future__ import annotations

from math import floor, isnan, sqrt

from broker.arithmetic.scalars import exp, log, polynomial

_Rational = tuple[tuple[float, ...], tuple[float, ...]]
"""Numerator and denominator."""

_QUANTILE_MIDDLE: _Rational = (
    (
        *(3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4),
        *(4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3),
    ),
    (
        *(1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3),
        *(2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3),
    ),
)
_QUANTILE_TAIL: _Rational = (
    (
        *(1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0),
        *(1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4),
    ),
    (
        *(1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1),
        *(1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9),
    ),
)
_QUANTILE_FAR: _Rational = (
    (
        *(6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1),
        *(2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7),
    ),
    (
        *(1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2),
        *(7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15),
    ),
)
_PROBABILITY_MIDDLE: _Rational = (
    (
        *(18154.981253343561249, 1067.6894854603709582, 161.02823106855587881, 2.2352520354606839287),
        0.065682337918207449113,
    ),
    (45507.789335026729956, 10260.932208618978205, 976.09855173777669322, 47.20258190468824187, 1.0),
)
_PROBABILITY_TAIL: _Rational = (
    (
        *(9842.7148383839780218, 11602.651437647350124, 6848.1904505362823326, 2494.5375852903726711),
        *(597.27027639480026226, 93.506656132177855979, 8.8831497943883759412, 0.39894151208813466764),
        1.0765576773720192317e-8,
    ),
    (
        *(19685.429676859990727, 38912.003286093271411, 34900.952721145977266, 18615.571640885098091),
        *(6485.558298266760755, 1519.377599407554805, 235.38790178262499861, 22.266688044328115691, 1.0),
    ),
)
_PROBABILITY_FAR: _Rational = (
    (
        *(2.9112874951168792e-5, 0.001421619193227893466, 0.022235277870649807),
        *(0.1274011611602473639, 0.21589853405795699, 0.02307344176494017303),
    ),
    (
        *(7.29751555083966205e-5, 0.00378239633202758244, 0.0659881378689285515),
        *(0.468238212480865118, 1.28426009614491121, 1.0),
    ),
)
_ROOT_OF_2_PI = 2.5066282746310005024
_SMALLEST = -38.5
"""Below it the probability is less than any float."""


def quantile(probability: float) -> float:
    """The number below which a standard normal one falls with `probability`, between 0 and 1, both left out.

    Its relative error is below 1e-15, where the probability itself leaves that much.
    """
    off = probability - 0.5
    if abs(off) <= 0.425:
        return off * _ratio(_QUANTILE_MIDDLE, 0.180625 - off * off)
    r = sqrt(-log(probability if off < 0 else 1.0 - probability))
    size = _ratio(_QUANTILE_TAIL, r - 1.6) if r <= 5.0 else _ratio(_QUANTILE_FAR, r - 5.0)
    return -size if off < 0 else size


def probability(score: float) -> float:
    """The probability that a standard normal number is below `score`.

    Its relative error is below 1e-15, in both tails, so long as it is no subnormal number.
    """
    if isnan(score):
        return score
    size = abs(score)
    if size <= 0.67448975:
        return 0.5 + score * _ratio(_PROBABILITY_MIDDLE, score * score)
    if score > 9.0:
        return 1.0
    if score < _SMALLEST:
        return 0.0
    below = _density(size) * _tail(size)
    return below if score < 0 else 1.0 - below


def _ratio(rational: _Rational, x: float) -> float:
    numerator, denominator = rational
    return polynomial(numerator, x) / polynomial(denominator, x)


def _density(size: float) -> float:
    """e^(-size^2 / 2); the square of size's upper bits is exact, so that little is lost in the exponent."""
    upper = floor(size * 16.0) / 16.0
    return exp(-0.5 * upper * upper) * exp(-0.5 * (size - upper) * (size + upper))


def _tail(size: float) -> float:
    """The probability of more than `size`, over e^(-size^2 / 2)."""
    if size <= 5.656854249492380195:
        return _ratio(_PROBABILITY_TAIL, size)
    inverse = 1.0 / (size * size)
    return (1.0 / _ROOT_OF_2_PI - inverse * _ratio(_PROBABILITY_FAR, inverse)) / size
