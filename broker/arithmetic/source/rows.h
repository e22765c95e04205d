/* Rows of logits, of which each is a few numbers: several rows at once, their numbers side by side. */

#ifndef ROWS_H
#define ROWS_H

#include "functions.h"

#include <math.h>

enum { ROWS = 16 }; /* taken at once */

/* `rows` rows of `width` numbers, `stride` floats apart, to (width, ROWS); rows that are missing are 0. */
INLINE void side_by_side(const float *from, ptrdiff_t stride, ptrdiff_t rows, ptrdiff_t width, float *restrict to)
{
    for (ptrdiff_t i = 0; i < width; i++) {
        for (ptrdiff_t row = 0; row < rows; row++) to[i * ROWS + row] = from[row * stride + i];
        for (ptrdiff_t row = rows; row < ROWS; row++) to[i * ROWS + row] = 0;
    }
}

/* The largest is the first of equal ones, and NaN only if it is the first number. */
INLINE void less_the_largest(float *restrict x, ptrdiff_t width)
{
    float largest[ROWS];
    for (int row = 0; row < ROWS; row++) largest[row] = x[row];
    for (ptrdiff_t i = 1; i < width; i++)
        for (int row = 0; row < ROWS; row++)
            largest[row] = x[i * ROWS + row] > largest[row] ? x[i * ROWS + row] : largest[row];
    for (ptrdiff_t i = 0; i < width; i++)
        for (int row = 0; row < ROWS; row++) x[i * ROWS + row] -= largest[row];
}

/* `side` is room for width * ROWS numbers, here and below. */
static void log_softmax_of(const float *x, ptrdiff_t rows, ptrdiff_t width, float *result, float *restrict side)
{
    for (ptrdiff_t done = 0; done < rows; done += ROWS, x += ROWS * width, result += ROWS * width) {
        ptrdiff_t now = rows - done < ROWS ? rows - done : ROWS;
        float total[ROWS] = {0};
        side_by_side(x, width, now, width, side);
        less_the_largest(side, width);
        for (ptrdiff_t i = 0; i < width; i++)
            for (int row = 0; row < ROWS; row++) total[row] += exponential(side[i * ROWS + row]);
        for (int row = 0; row < ROWS; row++) total[row] = logarithm(total[row]);
        for (ptrdiff_t i = 0; i < width; i++)
            for (ptrdiff_t row = 0; row < now; row++) result[row * width + i] = side[i * ROWS + row] - total[row];
    }
}

static void log_softmax_gradient_of(const float *log_probabilities, const float *gradient, ptrdiff_t rows,
                                    ptrdiff_t width, float *result, float *restrict side)
{
    for (ptrdiff_t done = 0; done < rows; done += ROWS) {
        ptrdiff_t now = rows - done < ROWS ? rows - done : ROWS, at = done * width;
        float total[ROWS] = {0};
        side_by_side(gradient + at, width, now, width, side);
        for (ptrdiff_t i = 0; i < width; i++)
            for (int row = 0; row < ROWS; row++) total[row] += side[i * ROWS + row];
        side_by_side(log_probabilities + at, width, now, width, side);
        for (ptrdiff_t i = 0; i < width; i++)
            for (int row = 0; row < ROWS; row++)
                side[i * ROWS + row] = exponential(side[i * ROWS + row]) * total[row];
        for (ptrdiff_t i = 0; i < width; i++)
            for (ptrdiff_t row = 0; row < now; row++)
                result[at + row * width + i] = gradient[at + row * width + i] - side[i * ROWS + row];
    }
}

/* Which actions are possible; `mask` may be NULL. */
struct possible {
    const char *mask;
    ptrdiff_t stride; /* bytes from row to row */
};

/* Weights of the actions of ROWS rows, side by side in `side`. */
INLINE void weights_of(const float *logits, ptrdiff_t stride, struct possible possible, ptrdiff_t rows, ptrdiff_t width,
                       float *restrict side)
{
    side_by_side(logits, stride, rows, width, side);
    if (possible.mask)
        for (ptrdiff_t i = 0; i < width; i++)
            for (ptrdiff_t row = 0; row < rows; row++) {
                float *x = side + i * ROWS + row;
                *x = *x != *x ? 0 : *x > FLT_MAX ? FLT_MAX : *x < -FLT_MAX ? -FLT_MAX : *x;
                if (!possible.mask[row * possible.stride + i]) *x = -INFINITY;
            }
    less_the_largest(side, width);
    for (ptrdiff_t i = 0; i < width * ROWS; i++) side[i] = exponential(side[i]);
}

#endif
