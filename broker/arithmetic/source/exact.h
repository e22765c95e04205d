/* What makes results equal everywhere, looked after at compile time; see broker/arithmetic/reference.py for the rules. */

#ifndef EXACT_H
#define EXACT_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__FAST_MATH__) || defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__)
#error "compile without -Ofast and -ffast-math: they change results"
#endif
#if FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16 /* 16 speaks of numbers half as wide, which nobody uses here */
#error "this processor computes with more digits than asked for"
#endif
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "little-endian processors only"
#endif

/* Bytes of a vector register; set by whoever compiles. Results do not depend on it. */
#ifndef WIDTH
#define WIDTH 16
#endif

#define INLINE static inline __attribute__((always_inline))

/* Whether numbers below 2^-126 are taken as zero in this thread, which no other machine would do. */
static int flushes_to_zero(void)
{
#if defined(__x86_64__)
    uint32_t state;
    __asm__ volatile("stmxcsr %0" : "=m"(state));
    return (state & 0x8040) != 0;
#elif defined(__aarch64__)
    uint64_t state;
    __asm__ volatile("mrs %0, fpcr" : "=r"(state));
    return (state >> 24 & 1) != 0;
#else
    volatile float tiny = FLT_MIN;
    return tiny * 0.5f == 0;
#endif
}

#endif
