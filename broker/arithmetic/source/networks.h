/* Multilayer perceptrons: their outputs, their gradient and a step of Adam.
 *
 * The parameters of a network are for each layer its weight (inputs, outputs) and then its bias (outputs). */

#ifndef NETWORKS_H
#define NETWORKS_H

#include "products.h"

#include <math.h>
#include <stdlib.h>

struct network {
    const int64_t *widths; /* of all layers, the inputs first */
    int layers;
};

static ptrdiff_t size_of(struct network net)
{
    ptrdiff_t size = 0;
    for (int layer = 0; layer < net.layers; layer++) size += (net.widths[layer] + 1) * net.widths[layer + 1];
    return size;
}

/* Of all hidden layers together. */
static ptrdiff_t hidden_width(struct network net)
{
    ptrdiff_t width = 0;
    for (int layer = 1; layer < net.layers; layer++) width += net.widths[layer];
    return width;
}

/* What a pass over a network needs beside its results. */
struct room {
    float *panel;      /* for narrow products */
    float *turned;     /* a weight turned */
    float *delta[2];   /* the gradient by what a layer gave, and by what it was given */
    float *rest;       /* as much as was asked for */
};

/* Room for networks at `samples` samples and `rest` floats more, the same for each call of a thread; 0 if there is not
 * so much. */
static int make_room(struct network net, ptrdiff_t samples, ptrdiff_t rest, struct room *room)
{
    static _Thread_local float *kept;
    static _Thread_local size_t held;
    ptrdiff_t widest = 0, largest = 0;
    for (int layer = 0; layer <= net.layers; layer++) {
        if (net.widths[layer] > widest) widest = net.widths[layer];
        if (layer && net.widths[layer - 1] * net.widths[layer] > largest)
            largest = net.widths[layer - 1] * net.widths[layer];
    }
    ptrdiff_t panel = (widest > samples ? widest : samples) * LANES;
    size_t needed = (size_t)(panel + largest + 2 * samples * widest + rest + 5 * LANES) * sizeof *kept;
    if (needed > held) {
        free(kept);
        held = needed + needed / 4;
        kept = malloc(held);
        if (!kept) return (held = 0);
    }
    room->panel = kept;
    room->turned = room->panel + panel;
    room->delta[0] = room->turned + largest;
    room->delta[1] = room->delta[0] + samples * widest;
    room->rest = room->delta[1] + samples * widest;
    return 1;
}

/* Fills `hidden`, the outputs of each hidden layer (samples, width), and `outputs` (samples, outputs). */
static void forward(struct network net, const float *parameters, const float *inputs, ptrdiff_t samples, float *hidden,
                    float *outputs, struct room *room)
{
    for (int layer = 0; layer < net.layers; layer++) {
        ptrdiff_t in = net.widths[layer], out = net.widths[layer + 1];
        int last = layer == net.layers - 1;
        float *result = last ? outputs : hidden;
        multiply(&(struct product){.m = samples, .n = out, .k = in, .a = inputs, .a_row = in, .a_column = 1,
                                   .b = parameters, .start = parameters + in * out, .c = result, .relu = !last},
                 room->panel);
        parameters += in * out + out;
        inputs = result;
        hidden += samples * out;
    }
}

/* The inputs of a layer, turned, times the gradient by what it gave. */
static void weight_gradient(const float *inputs, const float *delta, ptrdiff_t samples, ptrdiff_t in, ptrdiff_t out,
                            float *gradient, struct room *room)
{
    if (out >= LANES || out >= in) {
        multiply(&(struct product){.m = in, .n = out, .k = samples, .a = inputs, .a_row = 1, .a_column = in, .b = delta,
                                   .c = gradient},
                 room->panel);
        return;
    }
    /* Few columns fill no vector: the same sums the other way round, and then turned. */
    multiply(&(struct product){.m = out, .n = in, .k = samples, .a = delta, .a_row = 1, .a_column = out, .b = inputs,
                               .c = room->turned},
             room->panel);
    turn(room->turned, out, in, gradient);
}

/* Fills `gradient` (size): by all parameters, of a scalar whose gradient by the outputs is `delta` (samples, outputs). */
static void backward(struct network net, const float *parameters, const float *inputs, ptrdiff_t samples,
                     const float *hidden, const float *delta, float *gradient, struct room *room)
{
    static const float ONE = 1;
    parameters += size_of(net);
    gradient += size_of(net);
    hidden += samples * hidden_width(net);
    for (int layer = net.layers - 1; layer >= 0; layer--) {
        ptrdiff_t in = net.widths[layer], out = net.widths[layer + 1];
        const float *given = layer ? (hidden -= samples * in) : inputs;
        parameters -= in * out + out;
        gradient -= in * out + out;
        weight_gradient(given, delta, samples, in, out, gradient, room);
        multiply(&(struct product){.m = 1, .n = out, .k = samples, .a = &ONE, .b = delta, .c = gradient + in * out},
                 room->panel);
        if (layer == 0) break;
        float *next = room->delta[layer % 2];
        turn(parameters, in, out, room->turned);
        multiply(&(struct product){.m = samples, .n = in, .k = out, .a = delta, .a_row = out, .a_column = 1,
                                   .b = room->turned, .c = next, .let_through = given},
                 room->panel);
        delta = next;
    }
}

/* By squaring, as the reference does. */
static double power(double base, int64_t exponent)
{
    double result = 1;
    for (; exponent; exponent >>= 1, base *= base)
        if (exponent & 1) result *= base;
    return result;
}

static const double BETA1 = 0.9, BETA2 = 0.999;
static const float SMALLEST_MOMENT = 0x1p-100f;

/* Whether the square of each number is finite. If one were not, its moment would be infinite for ever, and the parameter
 * would never move again. */
static int squares_are_finite(const float *gradient, ptrdiff_t n)
{
    int32_t strange = 0;
    for (ptrdiff_t i = 0; i < n; i++) strange |= !(gradient[i] * gradient[i] < INFINITY);
    return !strange;
}

/* Step number `steps`, from 1, of `n` parameters with their moments. */
static void step_of_adam(float *restrict parameters, float *restrict first, float *restrict second,
                         const float *restrict gradient, ptrdiff_t n, int64_t steps, double learning_rate,
                         double epsilon)
{
    double correction = sqrt(1 - power(BETA2, steps));
    const float size = (float)(learning_rate * correction / (1 - power(BETA1, steps)));
    const float added = (float)(epsilon * correction);
    const float to_first = (float)(1 - BETA1), keeps = (float)BETA2, to_second = (float)(1 - BETA2);
    for (ptrdiff_t i = 0; i < n; i++) {
        float own = gradient[i];
        float m = first[i] + (own - first[i]) * to_first;
        float v = second[i] * keeps + own * own * to_second;
        m = fabsf(m) < SMALLEST_MOMENT ? 0 : m;
        v = v < SMALLEST_MOMENT ? 0 : v;
        first[i] = m;
        second[i] = v;
        parameters[i] -= size * (m / (sqrtf(v) + added));
    }
}

#endif
