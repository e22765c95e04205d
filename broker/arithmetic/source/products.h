/* One kernel for all products of matrices:
 *
 *     C[m, n] = start[n] + A(m, 0) B[0, n] + A(m, 1) B[1, n] + ...      in this order, each product rounded first
 *
 * Vectors run along n, the columns of the result, and never along the sum: each number of C is summed in the order of k
 * however wide they are. A is read by two strides, so that it can be a transposed matrix as it lies there. */

#ifndef PRODUCTS_H
#define PRODUCTS_H

#include "exact.h"

#include <string.h>

typedef float vector __attribute__((vector_size(WIDTH)));
typedef int32_t mask __attribute__((vector_size(WIDTH)));
enum { LANES = WIDTH / 4 };

struct product {
    ptrdiff_t m, n, k;                 /* rows and columns of C, length of the sums */
    const float *a;                    /* A(m, k) = a[m * a_row + k * a_column] */
    ptrdiff_t a_row, a_column;
    const float *b;                    /* B[k, n] = b[k * n + n] */
    const float *start;                /* (n), or NULL for 0 */
    float *c;                          /* (m, n) */
    int relu;                          /* 1: negative results become 0 */
    const float *let_through;          /* (m, n), or NULL: where this is not positive, results become 0 */
};

INLINE vector load(const float *from)
{
    vector x;
    memcpy(&x, from, sizeof x);
    return x;
}

INLINE void store(float *to, vector x)
{
    memcpy(to, &x, sizeof x);
}

/* The first `count` numbers, the others 0. */
INLINE vector load_some(const float *from, ptrdiff_t count)
{
    vector x = {0};
    memcpy(&x, from, (size_t)count * sizeof *from);
    return x;
}

INLINE vector rectified(vector x)
{
    return (vector)((mask)x & ~(x < 0));  /* keeps NaN */
}

INLINE vector gated(vector x, vector gate)
{
    return (vector)((mask)x & (gate > 0));
}

/* `rows` rows of C from row `m`, `vectors` vectors from column `n`. Both are constants wherever this is called, so the
 * loops over them are written out by the compiler and the sums stay in registers. */
INLINE void block(const int rows, const int vectors, const struct product *p, ptrdiff_t m, ptrdiff_t n)
{
    vector sums[8][8];
    const float *a = p->a + m * p->a_row, *b = p->b + n;
    const ptrdiff_t a_row = p->a_row, a_column = p->a_column, b_row = p->n;
    for (int v = 0; v < vectors; v++) {
        vector start = p->start ? load(p->start + n + v * LANES) : (vector){0};
        for (int r = 0; r < rows; r++) sums[r][v] = start;
    }
    for (ptrdiff_t k = p->k; k > 0; k--, a += a_column, b += b_row)
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < vectors; v++) sums[r][v] += a[r * a_row] * load(b + v * LANES);
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
            ptrdiff_t at = (m + r) * p->n + n + v * LANES;
            vector x = sums[r][v];
            if (p->relu) x = rectified(x);
            if (p->let_through) x = gated(x, load(p->let_through + at));
            store(p->c + at, x);
        }
}

/* All rows of C at `vectors` vectors from column `n`. */
INLINE void columns(const int vectors, const struct product *p, ptrdiff_t n)
{
    ptrdiff_t m = 0;
    for (; m + 4 <= p->m; m += 4) block(4, vectors, p, m, n);
    if (p->m - m == 3) block(3, vectors, p, m, n);
    if (p->m - m == 2) block(2, vectors, p, m, n);
    if (p->m - m == 1) block(1, vectors, p, m, n);
}

/* `rows` rows of C, the `count` columns from column `n`, fewer than a vector. `panel` holds these columns of B, each
 * row of them as a whole vector. */
INLINE void narrow_block(const int rows, const struct product *p, const float *panel, ptrdiff_t m, ptrdiff_t n,
                         ptrdiff_t count)
{
    vector sums[8];
    const float *a = p->a + m * p->a_row;
    vector start = p->start ? load_some(p->start + n, count) : (vector){0};
    for (int r = 0; r < rows; r++) sums[r] = start;
    for (ptrdiff_t k = 0; k < p->k; k++, a += p->a_column)
        for (int r = 0; r < rows; r++) sums[r] += a[r * p->a_row] * load(panel + k * LANES);
    for (int r = 0; r < rows; r++) {
        ptrdiff_t at = (m + r) * p->n + n;
        vector x = sums[r];
        if (p->relu) x = rectified(x);
        if (p->let_through) x = gated(x, load_some(p->let_through + at, count));
        memcpy(p->c + at, &x, (size_t)count * sizeof *p->c);
    }
}

static void narrow_columns(const struct product *p, float *panel, ptrdiff_t n)
{
    ptrdiff_t m = 0, k = 0, count = p->n - n;
    /* A whole vector is read wherever B does not end within it: what lies behind these columns is computed and left. */
    for (; (k + 1) * p->n - count + LANES <= p->k * p->n; k++) store(panel + k * LANES, load(p->b + k * p->n + n));
    for (; k < p->k; k++) store(panel + k * LANES, load_some(p->b + k * p->n + n, count));
    for (; m + 8 <= p->m; m += 8) narrow_block(8, p, panel, m, n, count);
    for (; m + 2 <= p->m; m += 2) narrow_block(2, p, panel, m, n, count);
    if (m < p->m) narrow_block(1, p, panel, m, n, count);
}

/* As many sums at once as the registers hold. */
enum { VECTORS = WIDTH == 64 ? 4 : 2 };

/* `panel` is room for k vectors, used where n is no multiple of a vector's length. */
static __attribute__((noinline)) void multiply(const struct product *p, float *panel)
{
    ptrdiff_t n = 0;
    if (p->m == 1)
        for (; n + 8 * LANES <= p->n; n += 8 * LANES) block(1, 8, p, 0, n);
    for (; n + VECTORS * LANES <= p->n; n += VECTORS * LANES) columns(VECTORS, p, n);
    for (; n + LANES <= p->n; n += LANES) columns(1, p, n);
    if (n < p->n) narrow_columns(p, panel, n);
}

typedef float four __attribute__((vector_size(16)));

/* Four rows of four numbers, `columns` apart, become four columns, `rows` apart. */
INLINE void turn_square(const float *from, ptrdiff_t columns, float *to, ptrdiff_t rows)
{
    four a, b, c, d;
    memcpy(&a, from, sizeof a);
    memcpy(&b, from + columns, sizeof b);
    memcpy(&c, from + 2 * columns, sizeof c);
    memcpy(&d, from + 3 * columns, sizeof d);
    four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    a = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    b = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    c = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    d = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
    memcpy(to, &a, sizeof a);
    memcpy(to + rows, &b, sizeof b);
    memcpy(to + 2 * rows, &c, sizeof c);
    memcpy(to + 3 * rows, &d, sizeof d);
}

/* A matrix (rows, columns) turned: (columns, rows). */
static void turn(const float *from, ptrdiff_t rows, ptrdiff_t columns, float *to)
{
    ptrdiff_t even_rows = rows / 4 * 4, even_columns = columns / 4 * 4;
    for (ptrdiff_t column = 0; column < even_columns; column += 4)
        for (ptrdiff_t row = 0; row < even_rows; row += 4)
            turn_square(from + row * columns + column, columns, to + column * rows + row, rows);
    for (ptrdiff_t column = 0; column < columns; column++)
        for (ptrdiff_t row = column < even_columns ? even_rows : 0; row < rows; row++)
            to[column * rows + row] = from[row * columns + column];
}

#endif
