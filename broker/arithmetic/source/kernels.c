/* What Python calls: each function of broker/arithmetic/kernels.py, for which broker/arithmetic/native.py stands.
 *
 * The results are those of broker/arithmetic/reference.py in every bit. Every function gets arrays of numpy's, makes
 * sure of their type, shape and layout, and says how it ended. */

#include "arrays.h"
#include "exact.h"
#include "functions.h"
#include "networks.h"
#include "products.h"
#include "rows.h"

#define EXPORT __attribute__((visibility("default")))

#ifndef SOURCE
#define SOURCE ""
#endif

/* Of which text this was compiled. */
EXPORT const char *source(void)
{
    return SOURCE;
}

/* What the last call that was MISUSED expected. */
EXPORT const char *expected(void)
{
    return complaint;
}

/* Whether `example` is read rightly: a view (3, 4) of an array (3, 5) of a type, which begins at `data`. */
EXPORT int arrays_are_understood(object example, ptrdiff_t header, object class, int type, const char *data)
{
    header_bytes = header;
    array_class = class;
    const struct array *x = array_of(example);
    if (x->data != data || x->axes != 2 || !is_array(example, (enum type)type, 2)) return 0;
    int wide = type == BOOL ? 1 : type == INT64 || type == FLOAT64 ? 8 : 4;
    return x->shape[0] == 3 && x->shape[1] == 4 && x->strides[0] == 5 * wide && x->strides[1] == wide &&
           !(x->flags & CONTIGUOUS) && is_writable(example);
}

#if defined(__x86_64__)
/* Which instruction sets this processor and its system know: 1 AVX2, 2 the parts of AVX-512 that are used. */
EXPORT int known_here(void)
{
    __builtin_cpu_init();
    return (__builtin_cpu_supports("avx2") ? 1 : 0) |
           (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
                ? 2
                : 0);
}
#else
EXPORT int known_here(void)
{
    return 0;
}
#endif

#define REFUSE_FLUSHING           \
    do {                          \
        if (flushes_to_zero())    \
            return FLUSHING;      \
    } while (0)

/* Elementwise, and sums */

EXPORT int exponentials(object x, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_like(x, result, FLOAT32), "x: float32, contiguous");
    const float *restrict from = floats(x);
    float *restrict to = floats(result);
    for (ptrdiff_t i = 0, n = count(x); i < n; i++) to[i] = exponential(from[i]);
    return DONE;
}

EXPORT int logarithms(object x, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_like(x, result, FLOAT32), "x: float32, contiguous");
    const float *restrict from = floats(x);
    float *restrict to = floats(result);
    for (ptrdiff_t i = 0, n = count(x); i < n; i++) to[i] = logarithm(from[i]);
    return DONE;
}

EXPORT int total(object x, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_like(x, x, FLOAT32), "x: float32, contiguous");
    double sum = 0;
    for (ptrdiff_t i = 0, n = count(x); i < n; i++) sum += floats(x)[i];
    doubles(result)[0] = sum;
    return DONE;
}

EXPORT int summed_first(object x, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_array(x, FLOAT32, array_of(result)->axes + 1) && array_of(x)->flags & CONTIGUOUS,
           "x: float32 (n, ...), contiguous");
    ptrdiff_t rows = length(x, 0), width = count(result);
    float *restrict sums = floats(result);
    for (ptrdiff_t i = 0; i < width; i++) sums[i] = 0;
    for (ptrdiff_t row = 0; row < rows; row++) {
        const float *restrict added = floats(x) + row * width;
        for (ptrdiff_t i = 0; i < width; i++) sums[i] += added[i];
    }
    return DONE;
}

EXPORT int summed_last(object x, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_array(x, FLOAT32, array_of(result)->axes + 1) && array_of(x)->flags & CONTIGUOUS,
           "x: float32 (..., n), contiguous");
    ptrdiff_t rows = count(result), width = length(x, array_of(x)->axes - 1);
    for (ptrdiff_t row = 0; row < rows; row++) {
        const float *added = floats(x) + row * width;
        float sum = 0;
        for (ptrdiff_t i = 0; i < width; i++) sum += added[i];
        floats(result)[row] = sum;
    }
    return DONE;
}

EXPORT int normalized(object x, double epsilon, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_array(x, FLOAT32, 1) && is_like(x, result, FLOAT32), "x: (B,) float32, contiguous");
    const ptrdiff_t n = count(x);
    const double numbers = n > 1 ? (double)n : 1;
    double sum = 0, squares = 0;
    for (ptrdiff_t i = 0; i < n; i++) sum += floats(x)[i];
    double mean = sum / numbers;
    for (ptrdiff_t i = 0; i < n; i++) squares += (floats(x)[i] - mean) * (floats(x)[i] - mean);
    double scale = sqrt(squares / numbers) + epsilon;
    for (ptrdiff_t i = 0; i < n; i++) floats(result)[i] = (float)((floats(x)[i] - mean) / scale);
    return DONE;
}

EXPORT int discounted(object terms, object discounts, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_like(terms, result, FLOAT32) && is_array(terms, FLOAT32, 2), "terms: (T, E) float32, contiguous");
    EXPECT(is_like(discounts, result, FLOAT32), "discounts: float32, contiguous and of the shape of the terms");
    ptrdiff_t steps = length(terms, 0), copies = length(terms, 1);
    float *sums = floats(result);
    memcpy(sums, floats(terms), (size_t)(steps * copies) * sizeof *sums);
    for (ptrdiff_t i = (steps - 1) * copies - 1; i >= 0; i--) sums[i] += floats(discounts)[i] * sums[i + copies];
    return DONE;
}

/* Logits */

static float *side_room(ptrdiff_t width)
{
    static const int64_t nothing[1] = {0};
    struct room room;
    return make_room((struct network){nothing, 0}, 0, width * ROWS, &room) ? room.rest : NULL;
}

EXPORT int log_softmax(object x, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_like(x, result, FLOAT32) && array_of(x)->axes > 0, "x: (..., A) float32, contiguous");
    ptrdiff_t width = length(x, array_of(x)->axes - 1);
    float *side = side_room(width);
    if (!side) return NO_MEMORY;
    if (width) log_softmax_of(floats(x), count(x) / width, width, floats(result), side);
    return DONE;
}

EXPORT int log_softmax_gradient(object log_probabilities, object gradient, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_like(log_probabilities, result, FLOAT32) && array_of(result)->axes > 0,
           "log_probabilities: (..., A) float32, contiguous");
    EXPECT(is_like(gradient, result, FLOAT32), "gradient: float32, contiguous and of the shape of log_probabilities");
    ptrdiff_t width = length(result, array_of(result)->axes - 1);
    float *side = side_room(width);
    if (!side) return NO_MEMORY;
    if (width)
        log_softmax_gradient_of(floats(log_probabilities), floats(gradient), count(result) / width, width,
                                floats(result), side);
    return DONE;
}

EXPORT int weights(object logits, object possible, object result)
{
    REFUSE_FLUSHING;
    EXPECT(is_like(logits, result, FLOAT32) && is_array(logits, FLOAT32, 2), "logits: (B, A) float32, contiguous");
    ptrdiff_t rows = length(logits, 0), width = length(logits, 1);
    EXPECT(!possible || is_whole(possible, BOOL, 2, rows, width, 0), "possible: (B, A) bool, contiguous");
    float *side = side_room(width);
    if (!side) return NO_MEMORY;
    for (ptrdiff_t done = 0; done < rows; done += ROWS) {
        ptrdiff_t now = rows - done < ROWS ? rows - done : ROWS, at = done * width;
        struct possible here = {possible ? array_of(possible)->data + at : NULL, width};
        weights_of(floats(logits) + at, width, here, now, width, side);
        for (ptrdiff_t i = 0; i < width; i++)
            for (ptrdiff_t row = 0; row < now; row++) floats(result)[at + row * width + i] = side[i * ROWS + row];
    }
    return DONE;
}

/* Networks */

static struct network network_of(object widths)
{
    return (struct network){integers(widths), (int)length(widths, 0) - 1};
}

static int are_rows(object rows, ptrdiff_t networks)
{
    for (ptrdiff_t i = 0; i < length(rows, 0); i++)
        if (integers(rows)[i] < 0 || integers(rows)[i] >= networks) return 0;
    return 1;
}

#define EXPECT_PARAMETERS(parameters, net) \
    EXPECT(is_whole(parameters, FLOAT32, 2, ANY, size_of(net), 0), "parameters: (N, P) float32, contiguous, of the sizes")
#define EXPECT_INPUTS(inputs, net) \
    EXPECT(is_whole(inputs, FLOAT32, 2, ANY, net.widths[0], 0), "inputs: (B, I) float32, contiguous, of the sizes")

EXPORT int evaluate(object widths, object parameters, object rows, object inputs, object hidden, object outputs)
{
    REFUSE_FLUSHING;
    struct network net = network_of(widths);
    EXPECT_PARAMETERS(parameters, net);
    EXPECT_INPUTS(inputs, net);
    EXPECT(are_rows(rows, length(parameters, 0)), "rows: of networks that there are");
    ptrdiff_t samples = length(inputs, 0), networks = length(rows, 0);
    ptrdiff_t kept = samples * hidden_width(net), given = samples * net.widths[net.layers];
    struct room room;
    if (!make_room(net, samples, 0, &room)) return NO_MEMORY;
    for (ptrdiff_t i = 0; i < networks; i++)
        forward(net, floats(parameters) + integers(rows)[i] * size_of(net), floats(inputs), samples,
                floats(hidden) + i * kept, floats(outputs) + i * given, &room);
    return DONE;
}

/* What `evaluate` gave, as it was then, and the gradient by its outputs. */
struct passed {
    object widths, rows, inputs, hidden, output_gradient;
};

static int check_passed(const struct passed *passed, object parameters, object positions)
{
    struct network net = network_of(passed->widths);
    EXPECT_PARAMETERS(parameters, net);
    EXPECT_INPUTS(passed->inputs, net);
    ptrdiff_t samples = length(passed->inputs, 0), networks = length(passed->rows, 0);
    EXPECT(are_rows(passed->rows, length(parameters, 0)), "rows: of networks that there are");
    EXPECT(are_rows(positions, networks), "positions: of networks that were evaluated");
    EXPECT(is_whole(passed->hidden, FLOAT32, 1, networks * samples * hidden_width(net), 0, 0),
           "passed: what evaluate gave");
    EXPECT(is_whole(passed->output_gradient, FLOAT32, 3, networks, samples, net.widths[net.layers]),
           "output_gradient: (R, B, O) float32, contiguous");
    return DONE;
}

static void gradient_at(const struct passed *passed, object parameters, int64_t position, float *result,
                        struct room *room)
{
    struct network net = network_of(passed->widths);
    ptrdiff_t samples = length(passed->inputs, 0);
    backward(net, floats(parameters) + integers(passed->rows)[position] * size_of(net), floats(passed->inputs), samples,
             floats(passed->hidden) + position * samples * hidden_width(net),
             floats(passed->output_gradient) + position * samples * net.widths[net.layers], result, room);
}

EXPORT int gradient(object widths, object parameters, object rows, object inputs, object hidden, object output_gradient,
                    object positions, object result)
{
    REFUSE_FLUSHING;
    struct passed passed = {widths, rows, inputs, hidden, output_gradient};
    int status = check_passed(&passed, parameters, positions);
    if (status != DONE) return status;
    struct network net = network_of(widths);
    struct room room;
    if (!make_room(net, length(inputs, 0), 0, &room)) return NO_MEMORY;
    for (ptrdiff_t i = 0; i < length(positions, 0); i++)
        gradient_at(&passed, parameters, integers(positions)[i], floats(result) + i * size_of(net), &room);
    return DONE;
}

struct adam {
    object parameters, first, second, steps;
    double learning_rate, epsilon;
};

static int check_adam(const struct adam *adam)
{
    EXPECT(is_whole(adam->parameters, FLOAT32, 2, ANY, ANY, 0) && is_writable(adam->parameters),
           "parameters: (N, P) float32, contiguous and writable");
    EXPECT(is_like(adam->first, adam->parameters, FLOAT32) && is_writable(adam->first),
           "first: float32, contiguous, writable and of the shape of the parameters");
    EXPECT(is_like(adam->second, adam->parameters, FLOAT32) && is_writable(adam->second),
           "second: float32, contiguous, writable and of the shape of the parameters");
    EXPECT(is_whole(adam->steps, INT64, 1, length(adam->parameters, 0), 0, 0) && is_writable(adam->steps),
           "steps: (N,) int64, contiguous and writable");
    return DONE;
}

static void move_row(const struct adam *adam, int64_t row, const float *gradient)
{
    ptrdiff_t size = length(adam->parameters, 1), at = row * size;
    step_of_adam(floats(adam->parameters) + at, floats(adam->first) + at, floats(adam->second) + at, gradient, size,
                 ++integers(adam->steps)[row], adam->learning_rate, adam->epsilon);
}

EXPORT int move(object parameters, object first, object second, object steps, double learning_rate, double epsilon,
                object rows, object gradient)
{
    REFUSE_FLUSHING;
    struct adam adam = {parameters, first, second, steps, learning_rate, epsilon};
    int status = check_adam(&adam);
    if (status != DONE) return status;
    EXPECT(are_rows(rows, length(parameters, 0)), "rows: of networks that there are");
    EXPECT(is_whole(gradient, FLOAT32, 2, length(rows, 0), length(parameters, 1), 0),
           "gradient: (n, P) float32, contiguous, a row for each of the rows");
    for (ptrdiff_t i = 0; i < length(rows, 0); i++)
        move_row(&adam, integers(rows)[i], floats(gradient) + i * length(parameters, 1));
    return DONE;
}

EXPORT int descend(object widths, object parameters, object rows, object inputs, object hidden, object output_gradient,
                   object positions, object first, object second, object steps, double learning_rate, double epsilon)
{
    REFUSE_FLUSHING;
    struct passed passed = {widths, rows, inputs, hidden, output_gradient};
    struct adam adam = {parameters, first, second, steps, learning_rate, epsilon};
    int status = check_adam(&adam);
    if (status == DONE) status = check_passed(&passed, parameters, positions);
    if (status != DONE) return status;
    struct network net = network_of(widths);
    ptrdiff_t size = size_of(net), networks = length(positions, 0);
    struct room room;
    if (!make_room(net, length(inputs, 0), networks * size, &room)) return NO_MEMORY;
    for (ptrdiff_t i = 0; i < networks; i++) {
        float *result = room.rest + i * size;
        gradient_at(&passed, parameters, integers(positions)[i], result, &room);
        if (!squares_are_finite(result, size)) return NOT_FINITE;
    }
    for (ptrdiff_t i = 0; i < networks; i++)
        move_row(&adam, integers(rows)[integers(positions)[i]], room.rest + i * size);
    return DONE;
}

/* Acting */

struct acting {
    object widths, parameters, observations, possible, uniforms, actions;
    ptrdiff_t actions_count;
};

static int check_acting(const struct acting *acting, ptrdiff_t step, object drawn)
{
    struct network net = network_of(acting->widths);
    EXPECT(is_whole(acting->parameters, FLOAT32, 1, size_of(net), 0, 0), "parameters: (P,) float32, contiguous");
    EXPECT(is_array(acting->actions, INT64, 2) && is_writable(acting->actions), "actions: (T, E) int64, writable");
    ptrdiff_t steps = length(acting->actions, 0), copies = length(acting->actions, 1), inputs = net.widths[0];
    object seen = acting->observations;
    EXPECT(step >= 0 && step < steps, "step: from 0 to T - 1");
    EXPECT(is_array(seen, FLOAT32, 3) && length(seen, 0) > step && length(seen, 1) == copies &&
               length(seen, 2) == inputs && (!copies || inputs == 1 || stride(seen, 2) == 4) &&
               (copies <= 1 || stride(seen, 1) == 4 * inputs),
           "observations: (T + 1, E, I) float32, contiguous but for the first axis");
    EXPECT(acting->actions_count > 0 && acting->actions_count <= net.widths[net.layers],
           "count: from 1 to the number of outputs");
    object possible = acting->possible;
    EXPECT(!possible || (is_array(possible, BOOL, 3) && length(possible, 0) > step && length(possible, 1) == copies &&
                         length(possible, 2) == acting->actions_count &&
                         (!copies || acting->actions_count == 1 || stride(possible, 2) == 1)),
           "possible: (T + 1, E, A) bool, contiguous in the last axis");
    EXPECT(is_array(acting->uniforms, FLOAT32, 2) && length(acting->uniforms, 0) > step &&
               length(acting->uniforms, 1) == copies,
           "uniforms: (T, E) float32");
    EXPECT(is_whole(drawn, INT32, 1, copies, 0, 0), "room for (E,) int32");
    return DONE;
}

/* Draws for up to ROWS copies from copy `first` on. */
static void draw(const struct acting *acting, ptrdiff_t step, const float *logits, ptrdiff_t first, ptrdiff_t copies,
                 int32_t *drawn, float *restrict side)
{
    object possible = acting->possible, uniforms = acting->uniforms, actions = acting->actions;
    ptrdiff_t width = acting->actions_count, outputs = network_of(acting->widths).widths[length(acting->widths, 0) - 1];
    struct possible here = {NULL, 0};
    if (possible) {
        here.stride = stride(possible, 1);
        here.mask = array_of(possible)->data + step * stride(possible, 0) + first * here.stride;
    }
    weights_of(logits + first * outputs, outputs, here, copies, width, side);
    for (ptrdiff_t i = ROWS; i < width * ROWS; i++) side[i] += side[i - ROWS]; /* sums up to each action */
    for (ptrdiff_t row = 0; row < copies; row++) {
        ptrdiff_t copy = first + row;
        const char *u = array_of(uniforms)->data + step * stride(uniforms, 0) + copy * stride(uniforms, 1);
        float threshold = *(const float *)(const void *)u * side[(width - 1) * ROWS + row];
        int32_t action = 0;
        for (ptrdiff_t i = 0; i < width - 1; i++) action += side[i * ROWS + row] <= threshold;
        char *place = array_of(actions)->data + step * stride(actions, 0) + copy * stride(actions, 1);
        *(int64_t *)(void *)place = drawn[copy] = action;
    }
}

EXPORT int act(object widths, object parameters, object observations, object possible, object uniforms, object actions,
               ptrdiff_t actions_count, ptrdiff_t step, object drawn)
{
    REFUSE_FLUSHING;
    struct acting acting = {widths, parameters, observations, possible, uniforms, actions, actions_count};
    int status = check_acting(&acting, step, drawn);
    if (status != DONE) return status;
    struct network net = network_of(widths);
    ptrdiff_t copies = length(actions, 1), outputs = net.widths[net.layers];
    ptrdiff_t hidden = copies * hidden_width(net), logits = copies * outputs;
    struct room room;
    if (!make_room(net, copies, hidden + logits + actions_count * ROWS, &room)) return NO_MEMORY;
    float *given = room.rest + hidden;
    const char *seen = array_of(observations)->data + step * stride(observations, 0);
    forward(net, floats(parameters), (const float *)(const void *)seen, copies, room.rest, given, &room);
    int32_t *result = (int32_t *)(void *)array_of(drawn)->data;
    for (ptrdiff_t first = 0; first < copies; first += ROWS)
        draw(&acting, step, given, first, copies - first < ROWS ? copies - first : ROWS, result, given + logits);
    return DONE;
}
