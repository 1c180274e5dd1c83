// The linear recurrence  h_t = a_t · h_{t-1} + b_t  and its gradient, over rows of channels.
//
// Compiled once per instruction set, each time into the namespace STATEWISE_INSTRUCTION_SET. All but the
// table at the end has internal linkage, and nothing of the standard library with inline code is included,
// so that no wide instruction can reach a machine that lacks it through a shared symbol.
//
// Channels never meet, so neither the block width nor the number of threads changes a bit of the result.

#include "linear_scan.hpp"

#include <cstdint>

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

using std::int64_t;

// Sixteen channels fill a cache line in single precision; 1024 are a page, and their states stay in the
// first-level cache. Wide is fast: rows taken whole follow each other in memory, and the prefetcher too.
constexpr int64_t kNarrowest = 16;
constexpr int64_t kWidest = 1024;
// Below this many elements waking threads costs more than the scan.
constexpr int64_t kWorthThreads = 32768;

int64_t ceil_div(int64_t count, int64_t size) { return (count + size - 1) / size; }

// Halved only while some thread would have no block.
int64_t block_width(const Shape& shape, int threads) {
  int64_t width = kWidest;
  while (width > kNarrowest && shape.batch * ceil_div(shape.channels, width) < threads) width /= 2;
  return width;
}

// Calls work(batch, first channel, number of channels) for every block.
template <typename Work>
void for_each_block(const Shape& shape, int threads, const Work& work) {
  const int64_t width = block_width(shape, threads);
  const int64_t blocks = ceil_div(shape.channels, width);
  const int64_t tasks = shape.batch * blocks;
#ifdef _OPENMP
  const bool worth_threads = shape.batch * shape.time * shape.channels >= kWorthThreads;
#pragma omp parallel for num_threads(threads) schedule(static) if (worth_threads)
#endif
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t first = task % blocks * width;
    const int64_t left = shape.channels - first;
    work(task / blocks, first, left < width ? left : width);
  }
}

template <typename Element>
Element* row(const Operand<Element>& operand, int64_t batch, int64_t time) {
  return operand.data + batch * operand.batch_stride + time * operand.time_stride;
}

template <typename Real>
constexpr Real kZeros[kWidest] = {};

// Channels `first …` of a row, or zeros where the operand is absent.
template <typename Real>
const Real* row_or_zeros(const Operand<const Real>& operand, int64_t batch, int64_t time, int64_t first) {
  return operand.data ? row(operand, batch, time) + first : kZeros<Real>;
}

template <typename Real>
void copy(const Real* from, Real* to, int64_t count) {
  for (int64_t c = 0; c < count; ++c) to[c] = from[c];
}

bool starts_sequence(const Operand<const std::uint8_t>& reset, int64_t batch, int64_t time) {
  return reset.data && *row(reset, batch, time);
}

template <typename Real>
void forward_row(const Real* __restrict decay, const Real* __restrict drive, Real* __restrict state,
                 Real* __restrict states, int64_t count) {
  for (int64_t c = 0; c < count; ++c) {
    state[c] = decay[c] * state[c] + drive[c];
    states[c] = state[c];
  }
}

template <typename Real>
void forward(const LinearScan<Real>& scan, int threads) {
  for_each_block(scan.shape, threads, [&](int64_t batch, int64_t first, int64_t count) {
    Real state[kWidest];
    copy(row_or_zeros(scan.initial, batch, 0, first), state, count);
    for (int64_t t = 0; t < scan.shape.time; ++t) {
      if (starts_sequence(scan.reset, batch, t)) copy(kZeros<Real>, state, count);
      forward_row(row(scan.decay, batch, t) + first, row(scan.drive, batch, t) + first, state,
                  row(scan.states, batch, t) + first, count);
    }
    copy(state, row(scan.final, batch, 0) + first, count);
  });
}

// `carry` arrives as the gradient of h_t from the steps after t, and leaves as that of h_{t-1}. Time runs
// backwards, so the channels do: a walk straight down through memory is prefetched, one in jumps is not,
// and takes twice as long.
template <typename Real>
void backward_row(const Real* __restrict decay, const Real* __restrict previous, const Real* __restrict grad_states,
                  Real* __restrict carry, Real* __restrict grad_decay, Real* __restrict grad_drive, int64_t count) {
  for (int64_t c = count - 1; c >= 0; --c) {
    const Real grad = grad_states[c] + carry[c];
    grad_drive[c] = grad;
    grad_decay[c] = grad * previous[c];
    carry[c] = decay[c] * grad;
  }
}

template <typename Real>
void backward(const LinearScanBackward<Real>& scan, int threads) {
  for_each_block(scan.shape, threads, [&](int64_t batch, int64_t first, int64_t count) {
    Real carry[kWidest];
    copy(row_or_zeros(scan.grad_final, batch, 0, first), carry, count);
    for (int64_t t = scan.shape.time - 1; t >= 0; --t) {
      const bool starts = starts_sequence(scan.reset, batch, t);
      const Real* previous = starts ? kZeros<Real>
                             : t    ? row(scan.states, batch, t - 1) + first
                                    : row_or_zeros(scan.initial, batch, 0, first);
      backward_row(row(scan.decay, batch, t) + first, previous, row_or_zeros(scan.grad_states, batch, t, first), carry,
                   row(scan.grad_decay, batch, t) + first, row(scan.grad_drive, batch, t) + first, count);
      if (starts) copy(kZeros<Real>, carry, count);
    }
    copy(carry, row(scan.grad_initial, batch, 0) + first, count);
  });
}

}  // namespace

extern const LinearScanKernels linear_scan;
const LinearScanKernels linear_scan = {forward<float>, forward<double>, backward<float>, backward<double>};

}  // namespace statewise::STATEWISE_INSTRUCTION_SET
