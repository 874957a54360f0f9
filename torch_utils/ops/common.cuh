// What all kernels share: 16-bit floats, wide loads, division by a number that the host knows.
//
// Kernels are specialised by macros and need no headers, so that NVRTC compiles them in a moment.
// Everything but the `__global__` shells is also plain C++, which the tests run on the CPU.
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
HD void store_pack(scalar_t* to, const Pack& pack) { *reinterpret_cast<Pack*>(to) = pack; }

// n / d for 0 <= n < 2^31, from the multiplier and shift that `custom_ops.divisor` computes.
struct Divisor { unsigned d, multiplier, shift; };

HD unsigned divide(unsigned n, const Divisor& by) {
#ifdef __CUDA_ARCH__
  return (__umulhi(n, by.multiplier) + n) >> by.shift;
#else
  return (unsigned)((((unsigned long long)n * by.multiplier >> 32) + n) >> by.shift);
#endif
}

HD int floor_div(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
