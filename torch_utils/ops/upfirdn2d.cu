// Upsampling, FIR filtering and downsampling: each thread computes a tile of outputs in registers.
//
//   y[oy, ox] = gain * sum_k,l f[k, l] * up(x)[oy * DOWN_Y + k - pad_y, ox * DOWN_X + l - pad_x]
//
// up(x) has x at multiples of UP and zeros between them. A tile reads every input of its window once and adds it to all
// outputs that depend on it. The compiler knows the factors, the filter's size and the phase of the window. So the kernel
// never multiplies by one of the zeros.
//
//   CHANNELS_LAST            1: a thread computes WIDTH channels; 0: one channel, and neighbours along x
//   UP_X UP_Y DOWN_X DOWN_Y  factors
//   TAPS_X TAPS_Y            filter size
//   PHASE_X PHASE_Y          (-pad) mod UP: where the first tap of a tile falls between inputs
//   TILE_X TILE_Y            outputs of a thread; TILE * DOWN is a multiple of UP
//   UNROLL_TAPS              1: filter in registers; 0: loops over a large filter
//   THREADS                  threads of a block
#include "common.cuh"

struct UpfirdnParams {
  const scalar_t* x;
  const float* f;
  scalar_t* y;
  long long x_n, x_c, x_h, x_w;  // strides in elements
  long long y_n, y_c, y_h, y_w;
  int in_h, in_w, out_h, out_w;
  int pad_x, pad_y;
  int flip;                          // 1: taps in memory order (correlation), 0: taps turned round (convolution)
  double gain;
  unsigned total;                    // number of threads that have an output
  Divisor by_channels, by_columns, by_rows;  // channel packs, tiles along x, tiles along y
};

#define WINDOW_X ((PHASE_X + (TILE_X - 1) * DOWN_X + TAPS_X - 1) / UP_X + 1)
#define WINDOW_Y ((PHASE_Y + (TILE_Y - 1) * DOWN_Y + TAPS_Y - 1) / UP_Y + 1)

#if UNROLL_TAPS
#define UNROLL_WINDOW UNROLL
#else
#define UNROLL_WINDOW
#endif

HD accum_t upfirdn2d_tap(const UpfirdnParams& p, int tap) {
  return (accum_t)p.f[p.flip ? tap : TAPS_X * TAPS_Y - 1 - tap] * (accum_t)p.gain;
}

HD void upfirdn2d_thread(const UpfirdnParams& p, unsigned item) {
  if (item >= p.total) return;
  unsigned rest = item, channel, column, row;
#if CHANNELS_LAST
  rest = divide(item, p.by_channels);
  channel = (item - rest * p.by_channels.d) * WIDTH;
#endif
  const unsigned over_columns = divide(rest, p.by_columns);
  column = rest - over_columns * p.by_columns.d;
  const unsigned over_rows = divide(over_columns, p.by_rows);
  row = over_columns - over_rows * p.by_rows.d;
#if CHANNELS_LAST
  const unsigned image = over_rows;
#else
  const unsigned image = divide(over_rows, p.by_channels);
  channel = over_rows - image * p.by_channels.d;
#endif

  const int oy = row * TILE_Y, ox = column * TILE_X;
  const int iy = floor_div(oy * DOWN_Y - p.pad_y, UP_Y), ix = floor_div(ox * DOWN_X - p.pad_x, UP_X);
  const scalar_t* x = p.x + image * p.x_n + channel * p.x_c;

#if UNROLL_TAPS
  accum_t taps[TAPS_X * TAPS_Y];
  UNROLL for (int tap = 0; tap < TAPS_X * TAPS_Y; tap++) taps[tap] = upfirdn2d_tap(p, tap);
#endif
  accum_t sum[TILE_Y][TILE_X][WIDTH];
  UNROLL for (int j = 0; j < TILE_Y; j++)
    UNROLL for (int i = 0; i < TILE_X; i++)
      UNROLL for (int v = 0; v < WIDTH; v++) sum[j][i][v] = 0;

  UNROLL_WINDOW for (int r = 0; r < WINDOW_Y; r++) {
    const bool in_rows = iy + r >= 0 && iy + r < p.in_h;
    const scalar_t* line = x + (iy + r) * p.x_h + ix * p.x_w;
    UNROLL_WINDOW for (int s = 0; s < WINDOW_X; s++) {
      Pack input = Pack();
      if (in_rows && ix + s >= 0 && ix + s < p.in_w) input = load_pack(line + s * p.x_w);
      UNROLL for (int j = 0; j < TILE_Y; j++)
        UNROLL for (int i = 0; i < TILE_X; i++) {
          const int k = r * UP_Y - PHASE_Y - j * DOWN_Y, l = s * UP_X - PHASE_X - i * DOWN_X;
          if (k < 0 || k >= TAPS_Y || l < 0 || l >= TAPS_X) continue;
#if UNROLL_TAPS
          const accum_t tap = taps[k * TAPS_X + l];
#else
          const accum_t tap = upfirdn2d_tap(p, k * TAPS_X + l);
#endif
          UNROLL for (int v = 0; v < WIDTH; v++) sum[j][i][v] += widen(input.v[v]) * tap;
        }
    }
  }

  scalar_t* y = p.y + image * p.y_n + channel * p.y_c + oy * p.y_h + ox * p.y_w;
  UNROLL for (int j = 0; j < TILE_Y; j++)
    UNROLL for (int i = 0; i < TILE_X; i++) {
      Pack out;
      UNROLL for (int v = 0; v < WIDTH; v++) narrow(sum[j][i][v], &out.v[v]);
      if (oy + j < p.out_h && ox + i < p.out_w) store_pack(y + j * p.y_h + i * p.y_w, out);
    }
}

#ifdef __CUDACC__
extern "C" __global__ void __launch_bounds__(THREADS) upfirdn2d(const __grid_constant__ UpfirdnParams p) {
  upfirdn2d_thread(p, blockIdx.x * THREADS + threadIdx.x);
}
#endif
