// Upsample, leaky ReLU, downsample. The large image never leaves the chip.
//
//   u = up_gain * fir(up(x + bias), fu),   a = clamp(gain * lrelu(u)),   y = fir(a, fd) at every DOWN-th pixel
//
// A block of threads computes a tile of one channel's output in shared memory, one axis at a time, in five phases. All
// threads synchronise before each phase. Each thread slides a filter along a run of neighbours, which it keeps in
// registers. Two bits for each pixel of u tell the derivative.
//
//   UP DOWN TAPS_U TAPS_D   factors and sizes of the separable filters
//   PHASE_X PHASE_Y         (-pad) mod UP
//   OUT_W OUT_H             tile of the output: multiples of 4, times DOWN multiples of UP
//   SIGNS                   0: no signs, 1: write signs, 2: read signs in place of the activation
//   CLAMPED HAS_BIAS        0 or 1
//   THREADS                 threads of a block
#define WIDTH 1
#include "common.cuh"

struct FilteredLreluParams {
  const scalar_t* x;
  const float* fu;
  const float* fd;
  const accum_t* bias;
  unsigned char* signs;  // [planes, sign_h, sign_bytes], 4 pixels a byte: bit 0 negative, bit 1 clamped
  scalar_t* y;           // dense
  long long x_n, x_c, x_h, x_w;
  int channels, in_h, in_w, out_h, out_w, pad_x, pad_y, flip_u, flip_d;
  int sign_h, sign_w, sign_bytes, sign_x, sign_y;  // size of `signs`, and the place of u's first pixel in it
  int tiles_x, tiles_y;
  double up_gain, gain, slope, clamp;
};

#define RUN_U (UP * 4)  // outputs of a thread along the filter
#define RUN_D 4
#define ROUND_UP(a, b) (((a) + (b) - 1) / (b) * (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#define BIG_W (OUT_W * DOWN - DOWN + TAPS_D)  // the part of u that a tile reads
#define BIG_H (OUT_H * DOWN - DOWN + TAPS_D)
#define BIG_COLUMNS ROUND_UP(BIG_W, RUN_U)  // in whole runs
#define BIG_ROWS ROUND_UP(BIG_H, RUN_U)
#define INPUTS(big, phase) (((big) - RUN_U) / UP + (phase + RUN_U + TAPS_U - 2) / UP + 1)
#define IN_W INPUTS(BIG_COLUMNS, PHASE_X)
#define IN_H INPUTS(BIG_ROWS, PHASE_Y)

// The strides are odd, so that the threads of a warp that walk down a column use different memory banks.
#define IN_STRIDE (IN_W | 1)
#define BIG_STRIDE (BIG_COLUMNS | 1)
#define OUT_STRIDE (OUT_W | 1)
#define FIRST_SIZE MAX(IN_H * IN_STRIDE, BIG_ROWS * BIG_STRIDE)
#define SECOND_SIZE MAX(IN_H * BIG_STRIDE, BIG_H * OUT_STRIDE)

struct Tile {
  accum_t first[FIRST_SIZE];    // the input, then the large image
  accum_t second[SECOND_SIZE];  // the input enlarged along x, then the large image shrunk along x
#if SIGNS == 1
  unsigned char flags[BIG_ROWS * BIG_STRIDE];
#endif
};

struct Place { int plane, out_x, out_y; };

HD Place filtered_lrelu_place(const FilteredLreluParams& p, unsigned block) {
  const unsigned across = block / p.tiles_x;
  Place place;
  place.out_x = (int)(block - across * p.tiles_x) * OUT_W;
  place.plane = across / p.tiles_y;
  place.out_y = (int)(across - place.plane * p.tiles_y) * OUT_H;
  return place;
}

HD accum_t filter_tap(const float* f, int tap, int taps, int flip) { return f[flip ? tap : taps - 1 - tap]; }

HD void load_input(const FilteredLreluParams& p, const Place& at, Tile& tile, int thread) {
  const int image = at.plane / p.channels, channel = at.plane - image * p.channels;
  const int iy = floor_div(at.out_y * DOWN - p.pad_y, UP), ix = floor_div(at.out_x * DOWN - p.pad_x, UP);
  const scalar_t* x = p.x + image * p.x_n + channel * p.x_c;
  const accum_t bias = HAS_BIAS ? p.bias[channel] : 0;
  for (int i = thread; i < IN_H * IN_STRIDE; i += THREADS) {
    const int row = i / IN_STRIDE, column = i - row * IN_STRIDE;
    const int yy = iy + row, xx = ix + column;
    const bool inside = column < IN_W && yy >= 0 && yy < p.in_h && xx >= 0 && xx < p.in_w;
    tile.first[i] = inside ? widen(x[yy * p.x_h + xx * p.x_w]) + bias : 0;
  }
}

// Compute RUN_U outputs along an axis whose inputs lie `step` elements apart.
#define UPSAMPLE_RUN(PHASE, from, step)                                                     \
  accum_t run[RUN_U];                                                                       \
  UNROLL for (int i = 0; i < RUN_U; i++) run[i] = 0;                                        \
  UNROLL for (int s = 0; s < (PHASE + RUN_U - 1 + TAPS_U - 1) / UP + 1; s++) {              \
    const accum_t input = from[s * (step)];                                                 \
    UNROLL for (int i = 0; i < RUN_U; i++) {                                                \
      const int k = s * UP - PHASE - i;                                                     \
      if (k >= 0 && k < TAPS_U) run[i] += input * taps[k];                                  \
    }                                                                                       \
  }

HD void upsample_x(const FilteredLreluParams& p, Tile& tile, int thread) {
  accum_t taps[TAPS_U];
  UNROLL for (int k = 0; k < TAPS_U; k++) taps[k] = filter_tap(p.fu, k, TAPS_U, p.flip_u);
  for (int i = thread; i < IN_H * (BIG_COLUMNS / RUN_U); i += THREADS) {
    const int strip = i / IN_H, row = i - strip * IN_H, start = strip * RUN_U;
    const accum_t* from = tile.first + row * IN_STRIDE + start / UP;
    UPSAMPLE_RUN(PHASE_X, from, 1)
    UNROLL for (int j = 0; j < RUN_U; j++) tile.second[row * BIG_STRIDE + start + j] = run[j];
  }
}

HD void upsample_y_and_activate(const FilteredLreluParams& p, const Place& at, Tile& tile, int thread) {
  accum_t taps[TAPS_U];
  UNROLL for (int k = 0; k < TAPS_U; k++)
    taps[k] = filter_tap(p.fu, k, TAPS_U, p.flip_u) * (accum_t)p.up_gain;
  const accum_t gain = (accum_t)p.gain, slope = (accum_t)p.slope, clamp = (accum_t)p.clamp;
  for (int i = thread; i < BIG_ROWS / RUN_U * BIG_W; i += THREADS) {
    const int strip = i / BIG_W, column = i - strip * BIG_W, start = strip * RUN_U;
    const accum_t* from = tile.second + start / UP * BIG_STRIDE + column;
    UPSAMPLE_RUN(PHASE_Y, from, BIG_STRIDE)
    UNROLL for (int j = 0; j < RUN_U; j++) {
      accum_t value = run[j];
#if SIGNS == 2
      const int sx = p.sign_x + at.out_x * DOWN + column, sy = p.sign_y + at.out_y * DOWN + start + j;
      int flags = 2;
      if (sx >= 0 && sx < p.sign_w && sy >= 0 && sy < p.sign_h)
        flags = p.signs[((long long)at.plane * p.sign_h + sy) * p.sign_bytes + (sx >> 2)] >> (sx & 3) * 2;
      value = flags & 2 ? 0 : value * (flags & 1 ? gain * slope : gain);
#else
      int flags = value < 0;
      value *= flags ? gain * slope : gain;
      if (CLAMPED && !(value < clamp && value > -clamp)) {
        flags |= 2;
        value = value > 0 ? clamp : value < 0 ? -clamp : value;
      }
#if SIGNS == 1
      tile.flags[(start + j) * BIG_STRIDE + column] = (unsigned char)flags;
#endif
#endif
      tile.first[(start + j) * BIG_STRIDE + column] = value;
    }
  }
}

// Compute RUN_D outputs along an axis whose inputs lie `step` elements apart.
#define DOWNSAMPLE_RUN(from, step)                                                          \
  accum_t run[RUN_D];                                                                       \
  UNROLL for (int i = 0; i < RUN_D; i++) run[i] = 0;                                        \
  UNROLL for (int s = 0; s < RUN_D * DOWN - DOWN + TAPS_D; s++) {                           \
    const accum_t input = from[s * (step)];                                                 \
    UNROLL for (int i = 0; i < RUN_D; i++) {                                                \
      const int k = s - i * DOWN;                                                           \
      if (k >= 0 && k < TAPS_D) run[i] += input * taps[k];                                  \
    }                                                                                       \
  }

HD void downsample_x(const FilteredLreluParams& p, const Place& at, Tile& tile, int thread) {
#if SIGNS == 1
  // Neighbouring tiles overlap in u. Each tile writes its own part; the last tile also writes the rest.
  const int end_x = at.out_x + OUT_W >= p.out_w ? BIG_W : OUT_W * DOWN;
  const int end_y = at.out_y + OUT_H >= p.out_h ? BIG_H : OUT_H * DOWN;
  const int bytes = (end_x + 3) / 4;
  for (int i = thread; i < end_y * bytes; i += THREADS) {
    const int row = i / bytes, byte = i - row * bytes;
    const int sy = at.out_y * DOWN + row, sx = at.out_x * DOWN / 4 + byte;
    if (sy >= p.sign_h || sx >= p.sign_bytes) continue;
    int packed = 0;
    UNROLL for (int j = 0; j < 4; j++)
      if (byte * 4 + j < BIG_W) packed |= tile.flags[row * BIG_STRIDE + byte * 4 + j] << j * 2;
    p.signs[((long long)at.plane * p.sign_h + sy) * p.sign_bytes + sx] = (unsigned char)packed;
  }
#endif
  accum_t taps[TAPS_D];
  UNROLL for (int k = 0; k < TAPS_D; k++) taps[k] = filter_tap(p.fd, k, TAPS_D, p.flip_d);
  for (int i = thread; i < BIG_H * (OUT_W / RUN_D); i += THREADS) {
    const int strip = i / BIG_H, row = i - strip * BIG_H, start = strip * RUN_D;
    const accum_t* from = tile.first + row * BIG_STRIDE + start * DOWN;
    DOWNSAMPLE_RUN(from, 1)
    UNROLL for (int j = 0; j < RUN_D; j++) tile.second[row * OUT_STRIDE + start + j] = run[j];
  }
}

HD void downsample_y(const FilteredLreluParams& p, const Place& at, Tile& tile, int thread) {
  accum_t taps[TAPS_D];
  UNROLL for (int k = 0; k < TAPS_D; k++) taps[k] = filter_tap(p.fd, k, TAPS_D, p.flip_d);
  for (int i = thread; i < OUT_H / RUN_D * OUT_W; i += THREADS) {
    const int strip = i / OUT_W, column = i - strip * OUT_W, start = strip * RUN_D;
    const accum_t* from = tile.second + start * DOWN * OUT_STRIDE + column;
    DOWNSAMPLE_RUN(from, OUT_STRIDE)
    UNROLL for (int j = 0; j < RUN_D; j++) {
      const int oy = at.out_y + start + j, ox = at.out_x + column;
      if (oy >= p.out_h || ox >= p.out_w) continue;
      narrow(run[j], p.y + ((long long)at.plane * p.out_h + oy) * p.out_w + ox);
    }
  }
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(THREADS) filtered_lrelu(const __grid_constant__ FilteredLreluParams p) {
  extern __shared__ __align__(16) unsigned char memory[];
  Tile& tile = *reinterpret_cast<Tile*>(memory);
  const Place at = filtered_lrelu_place(p, blockIdx.x);
  load_input(p, at, tile, threadIdx.x);
  __syncthreads();
  upsample_x(p, tile, threadIdx.x);
  __syncthreads();
  upsample_y_and_activate(p, at, tile, threadIdx.x);
  __syncthreads();
  downsample_x(p, at, tile, threadIdx.x);
  __syncthreads();
  downsample_y(p, at, tile, threadIdx.x);
}
#endif
