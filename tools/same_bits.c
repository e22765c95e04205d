/* One number over everything the kernels give for a fixed stream of cases, whatever compiled them: see same_bits.py. */

#include "../broker/arithmetic/source/kernels.c"

#include <stdio.h>

/* An array of numpy's, as far as the kernels look at it. */
struct example {
    ptrdiff_t references;
    const void *class;
    struct array array;
    ptrdiff_t shape[3], strides[3];
};
static const char a_class[] = "";
/* A type of numpy's: what every object has, a pointer, four characters, its number. */
struct example_type {
    ptrdiff_t references;
    const void *class, *pointer;
    char characters[4];
    int number;
};
static struct example_type types[13];

static object array(enum type type, int axes, ptrdiff_t first, ptrdiff_t second, ptrdiff_t third)
{
    struct example *x = calloc(1, sizeof *x);
    ptrdiff_t shape[3] = {first, second, third}, size = type == BOOL ? 1 : type == INT64 || type == FLOAT64 ? 8 : 4;
    types[type] = (struct example_type){1, a_class, NULL, {'f', 'f', '=', 0}, type};
    x->class = a_class;
    for (int axis = axes - 1; axis >= 0; axis--) {
        x->shape[axis] = shape[axis];
        x->strides[axis] = size;
        size *= shape[axis];
    }
    x->array = (struct array){calloc(1, (size_t)size + 1), axes, x->shape, x->strides, NULL, (object)&types[type],
                              CONTIGUOUS | ALIGNED | WRITABLE};
    return (object)x;
}

static uint64_t state = 1;

static uint32_t random_bits(void)
{
    state = state * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)(state >> 32);
}

static ptrdiff_t between(ptrdiff_t low, ptrdiff_t high)
{
    return low + random_bits() % (uint32_t)(high - low + 1);
}

/* Fills with numbers of both signs around 2^-`spread` to 2^`spread`, some of them 0, NaN or infinite if `strange`. */
static object filled(object x, int spread, int strange)
{
    for (ptrdiff_t i = 0; i < count(x); i++) {
        uint32_t bits = (random_bits() & 0x807fffff) | (uint32_t)between(127 - spread, 127 + spread) << 23;
        uint32_t chance = random_bits() % 64;
        if (chance == 0) bits &= 0x80000000;
        if (strange && chance == 1) bits = random_bits();
        memcpy(floats(x) + i, &bits, sizeof bits);
    }
    return x;
}

static object filled_integers(object x, ptrdiff_t below)
{
    for (ptrdiff_t i = 0; i < count(x); i++) integers(x)[i] = between(0, below - 1);
    return x;
}

static uint64_t digest = 0xcbf29ce484222325;

static void hash(object x)
{
    enum type type = type_of(array_of(x));
    size_t size = type == BOOL ? 1 : type == INT64 || type == FLOAT64 ? 8 : 4;
    for (ptrdiff_t i = 0; i < count(x); i++) {
        unsigned char bytes[8];
        memcpy(bytes, array_of(x)->data + (size_t)i * size, size);
        if (type == FLOAT32 && floats(x)[i] != floats(x)[i]) memcpy(bytes, "NaN!", 4);
        if (type == FLOAT64 && doubles(x)[i] != doubles(x)[i]) memcpy(bytes, "NaN, NaN", 8);
        for (size_t byte = 0; byte < size; byte++) digest = (digest ^ bytes[byte]) * 0x100000001b3;
    }
}

static void require(int status)
{
    if (status == DONE || status == NOT_FINITE) return;
    fprintf(stderr, "status %d: expected %s\n", status, expected());
    exit(1);
}

static void networks_case(int number)
{
    int layers = (int)between(1, 3), spread = number % 3 ? 4 : 60, strange = number % 5 == 0;
    object widths = array(INT64, 1, layers + 1, 0, 0);
    for (int layer = 0; layer <= layers; layer++) integers(widths)[layer] = between(1, number % 7 ? 40 : 130);
    struct network net = network_of(widths);
    ptrdiff_t samples = between(0, 40), size = size_of(net), networks = between(1, 3), outputs = net.widths[layers];
    object parameters = filled(array(FLOAT32, 2, networks, size, 0), spread, strange);
    object inputs = filled(array(FLOAT32, 2, samples, net.widths[0], 0), spread, strange);
    object rows = filled_integers(array(INT64, 1, networks, 0, 0), networks);
    object hidden = array(FLOAT32, 1, networks * samples * hidden_width(net), 0, 0);
    object given = array(FLOAT32, 3, networks, samples, outputs);
    require(evaluate(widths, parameters, rows, inputs, hidden, given));
    object by_outputs = filled(array(FLOAT32, 3, networks, samples, outputs), spread, 0);
    object result = array(FLOAT32, 2, networks, size, 0);
    require(gradient(widths, parameters, rows, inputs, hidden, by_outputs, rows, result));
    object first = filled(array(FLOAT32, 2, networks, size, 0), spread, 0);
    object second = array(FLOAT32, 2, networks, size, 0), steps = filled_integers(array(INT64, 1, networks, 0, 0), 2000);
    require(descend(widths, parameters, rows, inputs, hidden, by_outputs, rows, first, second, steps, 3e-4, 1e-5));
    object all[] = {hidden, given, result, parameters, first, second, steps};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) hash(all[i]);
}

static void acting_case(int number)
{
    ptrdiff_t copies = between(1, 40), inputs = between(1, 20), actions = between(1, 9), outputs = actions + number % 3;
    object widths = array(INT64, 1, 4, 0, 0);
    memcpy(integers(widths), (int64_t[]){inputs, 33, 18, outputs}, 4 * sizeof(int64_t));
    object parameters = filled(array(FLOAT32, 1, size_of(network_of(widths)), 0, 0), 3, 0);
    object seen = filled(array(FLOAT32, 3, 2, copies, inputs), 3, number % 5 == 0);
    object possible = array(BOOL, 3, 2, copies, actions), uniforms = array(FLOAT32, 2, 1, copies, 0);
    for (ptrdiff_t i = 0; i < count(possible); i++) array_of(possible)->data[i] = random_bits() % 3 != 0;
    for (ptrdiff_t i = 0; i < copies; i++) floats(uniforms)[i] = (float)(random_bits() >> 8) * 0x1p-24f;
    object chosen = array(INT64, 2, 1, copies, 0), drawn = array(INT32, 1, copies, 0, 0);
    object mask = number % 2 ? possible : NULL;
    require(act(widths, parameters, seen, mask, uniforms, chosen, actions, 0, drawn));
    hash(chosen);
    hash(drawn);
}

static void rows_case(int number)
{
    ptrdiff_t rows = between(1, 70), width = between(1, 20);
    object x = filled(array(FLOAT32, 2, rows, width, 0), number % 2 ? 4 : 100, number % 3 == 0);
    object y = filled(array(FLOAT32, 2, rows, width, 0), 4, 0), result = array(FLOAT32, 2, rows, width, 0);
    object flat = filled(array(FLOAT32, 1, rows, 0, 0), 20, 0), flat_result = array(FLOAT32, 1, rows, 0, 0);
    object wide = array(FLOAT32, 1, width, 0, 0), one = array(FLOAT64, 1, 1, 0, 0);
    require(log_softmax(x, result)), hash(result);
    require(log_softmax_gradient(x, y, result)), hash(result);
    require(weights(x, NULL, result)), hash(result);
    require(discounted(x, y, result)), hash(result);
    require(normalized(flat, 1e-8, flat_result)), hash(flat_result);
    require(summed_first(x, wide)), hash(wide);
    require(summed_last(x, flat_result)), hash(flat_result);
    require(total(x, one)), hash(one);
}

int main(void)
{
    header_bytes = offsetof(struct example, array);
    array_class = a_class;
    if (flushes_to_zero()) return 2;
    for (int number = 0; number < 300; number++) networks_case(number), acting_case(number), rows_case(number);
    object x = array(FLOAT32, 1, 1000000, 0, 0), result = array(FLOAT32, 1, 1000000, 0, 0);
    for (ptrdiff_t i = 0; i < 1000000; i++) {
        uint32_t bits = random_bits();
        memcpy(floats(x) + i, &bits, sizeof bits);
    }
    require(exponentials(x, result)), hash(result);
    require(logarithms(x, result)), hash(result);
    printf("%016llx\n", (unsigned long long)digest);
    return 0;
}
