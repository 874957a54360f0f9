// Code that all kernels share: 16-bit floats, wide loads, division by a number that the host knows.
//
// Macros specialise the kernels. The kernels need no headers, so that NVRTC compiles them in a moment. All code except
// the `__global__` functions is also plain C++, which the tests run on the CPU.
//
//   SCALAR   0 float32, 1 float16, 2 bfloat16, 3 float64
//   WIDTH    neighbouring elements of one load or store
#pragma once

#if defined(__CUDACC__) || defined(__CUDACC_RTC__)
#define HD __host__ __device__ __forceinline__
#define UNROLL _Pragma("unroll")
#else
#define HD static inline
#define UNROLL
#endif

struct Float16 { unsigned short bits; };
struct BFloat16 { unsigned short bits; };

#if SCALAR == 0
typedef float scalar_t; typedef float accum_t;
#elif SCALAR == 1
typedef Float16 scalar_t; typedef float accum_t;
#elif SCALAR == 2
typedef BFloat16 scalar_t; typedef float accum_t;
#else
typedef double scalar_t; typedef double accum_t;
#endif

HD accum_t widen(float v) { return (accum_t)v; }
HD accum_t widen(double v) { return (accum_t)v; }
HD void narrow(accum_t v, float* to) { *to = (float)v; }
HD void narrow(accum_t v, double* to) { *to = (double)v; }

#if SCALAR == 1 || SCALAR == 2
HD float bits_to_float(unsigned v) { union { unsigned u; float f; } both; both.u = v; return both.f; }
HD unsigned float_to_bits(float v) { union { unsigned u; float f; } both; both.f = v; return both.u; }

HD accum_t widen(Float16 v) {
#ifdef __CUDA_ARCH__
  float wide;
  asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(v.bits));
  return wide;
#else
  return 0;  // the CPU runs float32 and float64
#endif
}

HD void narrow(accum_t v, Float16* to) {
#ifdef __CUDA_ARCH__
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(to->bits) : "f"(v));
#endif
}

HD accum_t widen(BFloat16 v) { return bits_to_float((unsigned)v.bits << 16); }

HD void narrow(accum_t v, BFloat16* to) {
  const unsigned bits = float_to_bits(v);
  const unsigned rounded = bits + 0x7fffu + ((bits >> 16) & 1u);  // to nearest, ties to even
  to->bits = (unsigned short)((v != v ? bits | 0x400000u : rounded) >> 16);
}
#endif

struct alignas(sizeof(scalar_t) * WIDTH) Pack { scalar_t v[WIDTH]; };

HD Pack load_pack(const scalar_t* from) { return *reinterpret_cast<const Pack*>(from); }

#if defined(__CUDA_ARCH__) && WIDTH > 1 && (SCALAR == 1 || SCALAR == 2)
// This writes a pack in whole words. Without it the compiler writes some packs, those that branches fill, in pieces of
// 2 bytes.
HD void store_pack(scalar_t* to, const Pack& pack) {
  unsigned words[WIDTH / 2];
  UNROLL for (int i = 0; i < WIDTH / 2; i++)
    words[i] = (unsigned)pack.v[2 * i].bits | (unsigned)pack.v[2 * i + 1].bits << 16;
  const unsigned long long address = __cvta_generic_to_global(to);
#if WIDTH == 8
  asm volatile("st.global.v4.b32 [%0], {%1, %2, %3, %4};"
               :: "l"(address), "r"(words[0]), "r"(words[1]), "r"(words[2]), "r"(words[3]) : "memory");
#elif WIDTH == 4
  asm volatile("st.global.v2.b32 [%0], {%1, %2};" :: "l"(address), "r"(words[0]), "r"(words[1]) : "memory");
#else
  asm volatile("st.global.b32 [%0], %1;" :: "l"(address), "r"(words[0]) : "memory");
#endif
}
#else
HD void store_pack(scalar_t* to, const Pack& pack) { *reinterpret_cast<Pack*>(to) = pack; }
#endif

// Load WIDTH neighbouring numbers of a row of bias, scale or noise, at most 16 bytes at a time. `from` lies a multiple of
// WIDTH elements after a pointer that is aligned to 16 bytes.
#define PIECE (WIDTH * sizeof(accum_t) <= 16 ? WIDTH : 16 / sizeof(accum_t))
struct alignas(sizeof(accum_t) * PIECE) Piece { accum_t v[PIECE]; };

HD void load_row(const accum_t* from, accum_t* to) {
  UNROLL for (int i = 0; i < (int)(WIDTH / PIECE); i++) {
    const Piece piece = reinterpret_cast<const Piece*>(from)[i];
    UNROLL for (int v = 0; v < (int)PIECE; v++) to[i * PIECE + v] = piece.v[v];
  }
}

// Compute n / d for 0 <= n < 2^31 with the multiplier and the shift that `divisor.py` computes.
struct Divisor { unsigned d, multiplier, shift; };

HD unsigned divide(unsigned n, const Divisor& by) {
#ifdef __CUDA_ARCH__
  return (__umulhi(n, by.multiplier) + n) >> by.shift;
#else
  return (unsigned)((((unsigned long long)n * by.multiplier >> 32) + n) >> by.shift);
#endif
}

HD int floor_div(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
