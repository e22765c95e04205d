/* Exp and log of float32: computed in float64 and rounded once, within 0.5000001 units in the last place.
 *
 * Without branches, so that a compiler makes loops over them run several numbers at once. */

#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include "exact.h"

#include <math.h>
#include <string.h>

static const double LN2 = 0x1.62e42fefa39efp-1;
static const double LN2_HIGH = 0x1.62e42p-1;          /* its product with a small integer is exact */
static const double LN2_LOW = 0x1.fdf473de6af28p-22;  /* ln 2 less LN2_HIGH */
static const double SQRT_HALF = 0x1.6a09e667f3bcdp-1;
static const double EXP_LIMIT = 150.0;                /* beyond it exp in float32 is infinite or 0 */
static const double TO_INTEGER = 0x1.8p52;            /* what is added to it is rounded to an integer, half to even */

INLINE uint64_t bits_of(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

INLINE double double_of(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* x = k ln 2 + r, then 2^k times the series of exp(r) up to r^13. */
INLINE float exponential(float number)
{
    double x = number;
    double within = x > EXP_LIMIT ? EXP_LIMIT : x < -EXP_LIMIT ? -EXP_LIMIT : x;
    double shifted = within / LN2 + TO_INTEGER;
    double k = shifted - TO_INTEGER;
    double r = (within - k * LN2_HIGH) - k * LN2_LOW;
    double series = 1.0 / 6227020800.0;
    series = series * r + 1.0 / 479001600.0;
    series = series * r + 1.0 / 39916800.0;
    series = series * r + 1.0 / 3628800.0;
    series = series * r + 1.0 / 362880.0;
    series = series * r + 1.0 / 40320.0;
    series = series * r + 1.0 / 5040.0;
    series = series * r + 1.0 / 720.0;
    series = series * r + 1.0 / 120.0;
    series = series * r + 1.0 / 24.0;
    series = series * r + 1.0 / 6.0;
    series = series * r + 1.0 / 2.0;
    series = series * r + 1.0;
    series = series * r + 1.0;
    /* The lowest bits of `shifted` are k; moved to the exponent they make 2^k. NaN times whatever that is stays NaN. */
    return (float)(series * double_of((bits_of(shifted) + 1023) << 52));
}

/* x = 2^k m with m from sqrt(1/2) to sqrt(2), then k ln 2 plus the series of log(m) in s = (m - 1) / (m + 1). */
INLINE float logarithm(float number)
{
    double x = number;
    uint64_t bits = bits_of(x);
    double m = double_of((bits & 0x000fffffffffffff) | 0x3fe0000000000000);  /* 1/2 to 1 */
    /* The exponent as a number: put into the lowest bits of 2^52, which is then taken away. */
    double k = double_of((bits >> 52 & 0x7ff) | 0x4330000000000000) - (0x1p52 + 1022);
    int low = m < SQRT_HALF;
    k = low ? k - 1 : k;
    m = low ? m + m : m;
    double s = (m - 1) / (m + 1), square = s * s;
    double series = 1.0 / 21;
    series = series * square + 1.0 / 19;
    series = series * square + 1.0 / 17;
    series = series * square + 1.0 / 15;
    series = series * square + 1.0 / 13;
    series = series * square + 1.0 / 11;
    series = series * square + 1.0 / 9;
    series = series * square + 1.0 / 7;
    series = series * square + 1.0 / 5;
    series = series * square + 1.0 / 3;
    series = series * square + 1.0;
    double result = (2 * s * series + k * LN2_LOW) + k * LN2_HIGH;
    double special = x == 0 ? -INFINITY : x > 0 ? x : NAN;
    return (float)(x > 0 && x < INFINITY ? result : special);
}

#endif
