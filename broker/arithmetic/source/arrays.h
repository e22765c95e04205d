/* numpy's arrays as C sees them, and what is wrong with those that a kernel cannot take.
 *
 * Kernels get the arrays themselves (in Python: `id(array)`) and read where the numbers lie: asking an array in Python
 * takes longer than many a kernel. What is read is the part of numpy's binary interface that all compiled code relies
 * on; `arrays_are_understood` makes sure of it before any kernel is called. */

#ifndef ARRAYS_H
#define ARRAYS_H

#include <stddef.h>
#include <stdint.h>

typedef const char *object; /* any object of Python's */

struct array {
    char *data;
    int axes;
    ptrdiff_t *shape, *strides; /* strides in bytes */
    void *base;
    object type;
    int flags;
};

enum type { BOOL = 0, INT32 = 5, INT64 = 7, FLOAT32 = 11, FLOAT64 = 12 }; /* as numpy numbers them */
enum { CONTIGUOUS = 0x1, ALIGNED = 0x100, WRITABLE = 0x400 };
enum { ANY = -1 };                                                           /* a length that may be whatever it is */

enum status { DONE, NOT_FINITE, MISUSED, FLUSHING, NO_MEMORY };

static ptrdiff_t header_bytes;  /* of every object of Python's; the last of them point to its class */
static object array_class;
static const char *complaint = "";

static const struct array *array_of(object x)
{
    return (const struct array *)(x + header_bytes);
}

static enum type type_of(const struct array *x)
{
    return (enum type) * (const int *)(x->type + header_bytes + sizeof(void *) + 4);
}

static int is_any_array(object x)
{
    return *(const object *)(x + header_bytes - sizeof(void *)) == array_class;
}

static int is_array(object x, enum type type, int axes)
{
    if (!is_any_array(x)) return 0;
    const struct array *array = array_of(x);
    char order = (array->type + header_bytes + sizeof(void *))[2];
    return type_of(array) == type && order != '>' && array->axes == axes && (array->flags & ALIGNED);
}

/* Whether an array has this shape and lies there row after row. */
static int is_whole(object x, enum type type, int axes, ptrdiff_t first, ptrdiff_t second, ptrdiff_t third)
{
    const ptrdiff_t expected[3] = {first, second, third};
    if (!is_array(x, type, axes) || !(array_of(x)->flags & CONTIGUOUS)) return 0;
    for (int axis = 0; axis < axes; axis++)
        if (expected[axis] != ANY && array_of(x)->shape[axis] != expected[axis]) return 0;
    return 1;
}

static int is_writable(object x)
{
    return (array_of(x)->flags & WRITABLE) != 0;
}

/* Whether these are contiguous arrays of any one shape. */
static int is_like(object x, object other, enum type type)
{
    if (!is_any_array(x) || !is_array(other, type, array_of(x)->axes) || !is_array(x, type, array_of(x)->axes)) return 0;
    if (!(array_of(x)->flags & array_of(other)->flags & CONTIGUOUS)) return 0;
    for (int axis = 0; axis < array_of(x)->axes; axis++)
        if (array_of(x)->shape[axis] != array_of(other)->shape[axis]) return 0;
    return 1;
}

static ptrdiff_t length(object x, int axis)
{
    return array_of(x)->shape[axis];
}

static ptrdiff_t stride(object x, int axis)
{
    return array_of(x)->strides[axis];
}

static ptrdiff_t count(object x)
{
    ptrdiff_t numbers = 1;
    for (int axis = 0; axis < array_of(x)->axes; axis++) numbers *= length(x, axis);
    return numbers;
}

static float *floats(object x)
{
    return (float *)(void *)array_of(x)->data;
}

static double *doubles(object x)
{
    return (double *)(void *)array_of(x)->data;
}

static int64_t *integers(object x)
{
    return (int64_t *)(void *)array_of(x)->data;
}

#define EXPECT(condition, text)  \
    do {                         \
        if (!(condition)) {      \
            complaint = (text);  \
            return MISUSED;      \
        }                        \
    } while (0)

#endif
