// What the linear scan's kernels are given. Plain data only: an inline function here would be compiled
// once per instruction set under one name, and the linker would keep any of them for all.

#pragma once

#include <cstdint>

namespace statewise {

struct Shape {
  std::int64_t batch, time, channels;
};

// Rows of channels, contiguous along the channels. Strides count elements; no data means absent.
template <typename Element>
struct Operand {
  Element* data;
  std::int64_t batch_stride, time_stride;
};

template <typename Real>
struct LinearScan {
  Shape shape;
  Operand<const Real> decay, drive, initial;
  Operand<const std::uint8_t> reset;
  Operand<Real> states, final;
};

template <typename Real>
struct LinearScanBackward {
  Shape shape;
  Operand<const Real> decay, states, initial;
  Operand<const std::uint8_t> reset;
  Operand<const Real> grad_states, grad_final;
  Operand<Real> grad_decay, grad_drive, grad_initial;
};

struct LinearScanKernels {
  void (*forward_float)(const LinearScan<float>&, int threads);
  void (*forward_double)(const LinearScan<double>&, int threads);
  void (*backward_float)(const LinearScanBackward<float>&, int threads);
  void (*backward_double)(const LinearScanBackward<double>&, int threads);
};

}  // namespace statewise
