// Bias, activation, gain and clamp in one pass, with the scale and noise that go before them:
//
//   z = x * scale[n, c] + noise[n, h, w] + bias[c],    y = clamp(gain * act(z)) * after[n, c]
//
//   ORDER 0   y
//   ORDER 1   dy * after * dy/dz * scale, the gradient of x
//   ORDER 2   the derivative of ORDER 1 with respect to z, for scale = after = 1, times the gradient `second` of dx
//
// Scale and `after` have one row for every `frames` images. If the clamp holds, derivatives are 0.
//
//   CHANNELS_LAST      1: the elements of a pack are channels; 0: they are pixels of one channel
//   ACT                1 linear, 2 relu, 3 lrelu, 4 tanh, 5 sigmoid, 6 elu, 7 selu, 8 softplus, 9 swish
//   HAS_BIAS HAS_SCALE HAS_NOISE HAS_AFTER CLAMPED   0 or 1
//   FROM_OUTPUT        1: x is the output without `after`; its sign and size tell the derivative (linear, relu, lrelu)
//   SUMS CHANNELS      SUMS 1: the kernel also computes sums; CHANNELS is the number of channels
//   THREADS            threads of a block
#include "common.cuh"

struct BiasActParams {
  const scalar_t* x;       // [N, C, H, W], dense
  const scalar_t* dy;      // orders 1 and 2
  const scalar_t* second;  // order 2
  const accum_t* bias;       // [C]
  const accum_t* scale;      // [N / frames, C]
  const accum_t* after;      // [N / frames, C]
  const accum_t* noise;      // [1 or N / frames, H, W], already multiplied by its strength
  scalar_t* y;
  accum_t* sums;           // [N, stretches, 3, C]
  double alpha, gain, clamp;
  unsigned packs;           // number of packs of the whole tensor
  Divisor by_inner;         // packs of a channel's plane, or of a pixel's channels
  Divisor by_outer;         // channels, or pixels of an image
  Divisor by_frames;        // images that share a row of scale
  Divisor by_stretches;     // blocks of an image
  unsigned channels, pixels, noise_rows, stretch;
};

#if SCALAR == 3
#define EXP exp
#define EXPM1 expm1
#define LOG1P log1p
#define TANH tanh
#else
#define EXP expf
#define EXPM1 expm1f
#define LOG1P log1pf
#define TANH tanhf
#endif

struct Activation { accum_t value, slope, curve; };  // act, act', act''

HD Activation activate(accum_t z, accum_t alpha) {
  Activation a;
  a.curve = 0;
  const accum_t one = 1;
#if ACT == 1
  a.value = z; a.slope = 1;
#elif ACT == 2
  a.value = z > 0 ? z : 0; a.slope = z > 0 ? 1 : 0;
#elif ACT == 3
  a.slope = z > 0 ? one : alpha; a.value = z * a.slope;
#elif ACT == 4
  const accum_t t = TANH(z);
  a.value = t; a.slope = 1 - t * t; a.curve = -2 * t * a.slope;
#elif ACT == 5
  const accum_t s = 1 / (1 + EXP(-z));
  a.value = s; a.slope = s * (1 - s); a.curve = a.slope * (1 - 2 * s);
#elif ACT == 6
  const accum_t e = EXP(z);
  a.value = z > 0 ? z : EXPM1(z); a.slope = z > 0 ? one : e; a.curve = z > 0 ? 0 : e;
#elif ACT == 7
  const accum_t scale = (accum_t)1.0507009873554804934, steep = scale * (accum_t)1.6732632423543772848;
  const accum_t e = EXP(z) * steep;
  a.value = z > 0 ? z * scale : EXPM1(z) * steep; a.slope = z > 0 ? scale : e; a.curve = z > 0 ? 0 : e;
#elif ACT == 8
  const accum_t s = 1 / (1 + EXP(-z));
  a.value = z > 0 ? z + LOG1P(EXP(-z)) : LOG1P(EXP(z)); a.slope = s; a.curve = s * (1 - s);
#else
  const accum_t s = 1 / (1 + EXP(-z));
  a.value = z * s; a.slope = s * (1 + z * (1 - s)); a.curve = s * (1 - s) * (2 + z * (1 - 2 * s));
#endif
  return a;
}

// The numbers that belong to a pack besides the images.
struct Beside { accum_t scale[WIDTH], bias[WIDTH], after[WIDTH], noise[WIDTH]; };

HD void fill(accum_t* to, accum_t value) { UNROLL for (int v = 0; v < WIDTH; v++) to[v] = value; }

HD void load_channels(const BiasActParams& p, unsigned row, unsigned channel, Beside& beside) {
  const long long modulation = (long long)row * p.channels + channel;
#if CHANNELS_LAST
  if (HAS_SCALE) load_row(p.scale + modulation, beside.scale);
  if (HAS_BIAS) load_row(p.bias + channel, beside.bias);
  if (HAS_AFTER) load_row(p.after + modulation, beside.after);
#else
  if (HAS_SCALE) fill(beside.scale, p.scale[modulation]);
  if (HAS_BIAS) fill(beside.bias, p.bias[channel]);
  if (HAS_AFTER) fill(beside.after, p.after[modulation]);
#endif
}

HD void load_noise(const BiasActParams& p, unsigned row, unsigned pixel, Beside& beside) {
#if HAS_NOISE
  const accum_t* noise = p.noise + (long long)(p.noise_rows > 1 ? row : 0) * p.pixels + pixel;
#if CHANNELS_LAST
  fill(beside.noise, *noise);
#else
  load_row(noise, beside.noise);
#endif
#endif
}

// One element. dz: dy * after * dy/dz, whose sums over pixels are the bias's gradient; value: y without `after`.
struct Element { accum_t result, dz, value; };

HD Element bias_act_element(
    const BiasActParams& p, const Beside& beside, int v, accum_t x, accum_t dy, accum_t second) {
  const accum_t gain = (accum_t)p.gain, clamp = (accum_t)p.clamp;
  accum_t z = x, scale = 1, after = 1;
  if (HAS_SCALE) scale = beside.scale[v];
  if (HAS_SCALE) z *= scale;
  if (HAS_NOISE) z += beside.noise[v];
  if (HAS_BIAS) z += beside.bias[v];
  if (HAS_AFTER) after = beside.after[v];

  const Activation a = activate(z, (accum_t)p.alpha);
  Element e;
  e.value = FROM_OUTPUT ? z : gain * a.value;
  const bool held = CLAMPED && !(e.value < clamp && e.value > -clamp);
  if (CLAMPED) e.value = e.value > clamp ? clamp : e.value < -clamp ? -clamp : e.value;
  e.dz = held ? 0 : dy * after * gain * a.slope;
#if ORDER == 0
  e.result = e.value * after;
#elif ORDER == 1
  e.result = e.dz * scale;
#else
  e.result = held ? 0 : dy * second * gain * a.curve;
#endif
  return e;
}

HD void bias_act_thread(const BiasActParams& p, unsigned item) {
  if (item >= p.packs) return;
  const unsigned outer = divide(item, p.by_inner), inner = (item - outer * p.by_inner.d) * WIDTH;
  const unsigned image = divide(outer, p.by_outer), rest = outer - image * p.by_outer.d;
  const unsigned row = HAS_SCALE || HAS_AFTER || HAS_NOISE ? divide(image, p.by_frames) : 0;
  const long long at = (long long)item * WIDTH;

  const Pack x = load_pack(p.x + at);
  Pack dy = Pack(), second = Pack(), out;
  if (ORDER > 0) dy = load_pack(p.dy + at);
  if (ORDER > 1) second = load_pack(p.second + at);
  Beside beside;
  load_channels(p, row, CHANNELS_LAST ? inner : rest, beside);
  load_noise(p, row, CHANNELS_LAST ? rest : inner, beside);
  UNROLL for (int v = 0; v < WIDTH; v++)
    narrow(bias_act_element(p, beside, v, widen(x.v[v]), widen(dy.v[v]), widen(second.v[v])).result, &out.v[v]);
  store_pack(p.y + at, out);
}

// If the channels are innermost, ORDER 1 can also sum over the pixels of each image, for each channel:
//   sums[0] dz, sums[1] dz * x, sums[2] dy * value,
// These are the gradients of bias, scale and `after`. A block takes a stretch of an image's pixels. A thread takes one
// pack of channels in every ROWS-th pixel. Then the sums of a pack's threads are added up in shared memory.
#if SUMS
#define QUANTITIES 3
#define LANES (CHANNELS / WIDTH)      // packs of channels, at most THREADS
#define ROWS (THREADS / LANES)        // pixels at a time

struct BiasActSums { accum_t partial[THREADS][QUANTITIES * WIDTH + 1]; };

HD void bias_act_sum(const BiasActParams& p, BiasActSums& shared, unsigned block, unsigned thread) {
  const unsigned image = divide(block, p.by_stretches), stretch = block - image * p.by_stretches.d;
  const unsigned row = HAS_SCALE || HAS_AFTER || HAS_NOISE ? divide(image, p.by_frames) : 0;
  const unsigned lane = thread % LANES;
  const unsigned begin = stretch * p.stretch, end = begin + p.stretch < p.pixels ? begin + p.stretch : p.pixels;
  accum_t sums[QUANTITIES][WIDTH];
  UNROLL for (int q = 0; q < QUANTITIES; q++)
    UNROLL for (int v = 0; v < WIDTH; v++) sums[q][v] = 0;

  Beside beside;  // loaded before the loop, because the compiler must assume that stores change these numbers
  load_channels(p, row, lane * WIDTH, beside);
  if (thread < LANES * ROWS)
    for (unsigned pixel = begin + thread / LANES; pixel < end; pixel += ROWS) {
      const long long at = ((long long)image * p.pixels + pixel) * CHANNELS + lane * WIDTH;
      const Pack x = load_pack(p.x + at), dy = load_pack(p.dy + at);
      load_noise(p, row, pixel, beside);
      Pack out;
      UNROLL for (int v = 0; v < WIDTH; v++) {
        const accum_t wide_x = widen(x.v[v]), wide_dy = widen(dy.v[v]);
        const Element e = bias_act_element(p, beside, v, wide_x, wide_dy, 0);
        sums[0][v] += e.dz;
        if (HAS_SCALE) sums[1][v] += e.dz * wide_x;
        if (HAS_AFTER) sums[2][v] += wide_dy * e.value;
        narrow(e.result, &out.v[v]);
      }
      store_pack(p.y + at, out);
    }
  UNROLL for (int q = 0; q < QUANTITIES; q++)
    UNROLL for (int v = 0; v < WIDTH; v++) shared.partial[thread][q * WIDTH + v] = sums[q][v];
}

HD void bias_act_add_up(const BiasActParams& p, const BiasActSums& shared, unsigned block, unsigned thread) {
  for (unsigned i = thread; i < QUANTITIES * CHANNELS; i += THREADS) {
    const unsigned quantity = i / CHANNELS, channel = i - quantity * CHANNELS;
    const unsigned lane = channel / WIDTH, slot = quantity * WIDTH + channel % WIDTH;
    accum_t total = 0;
    for (unsigned r = 0; r < ROWS; r++) total += shared.partial[r * LANES + lane][slot];
    p.sums[(long long)block * (QUANTITIES * CHANNELS) + i] = total;
  }
}
#endif

// Sums need registers. Four blocks on a multiprocessor keep enough loads in flight, and there are enough registers for
// the variants that training uses.
#if SUMS && SCALAR != 3 && !HAS_NOISE && !HAS_AFTER
#define LEAST_BLOCKS 4
#else
#define LEAST_BLOCKS 1
#endif

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(THREADS, LEAST_BLOCKS) bias_act(const __grid_constant__ BiasActParams p) {
#if SUMS
  __shared__ BiasActSums shared;
  bias_act_sum(p, shared, blockIdx.x, threadIdx.x);
  __syncthreads();
  bias_act_add_up(p, shared, blockIdx.x, threadIdx.x);
#else
  bias_act_thread(p, blockIdx.x * THREADS + threadIdx.x);
#endif
}
#endif
