// h_t = a_t · h_{t-1} + b_t, real or complex. Inputs: decay, drive. The bits are those of the reference, wherever
// time is not cut: no fused multiply-add, which rounds once where the reference rounds twice.

#include "diagonal.hpp"
#include "kernels.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

struct Linear {
  static constexpr int kInputs = 2;

  template <typename Number>
  static STATEWISE_INLINE DecayDrive<Number> decay_and_drive(const Number (&x)[kInputs]) {
    return {x[0], x[1]};
  }

  template <typename Number>
  static STATEWISE_INLINE Number gradient(const Number (&x)[kInputs], Number grad, Number previous, Number (&on_x)[kInputs]) {
    on_x[0] = grad * conj(previous);
    on_x[1] = grad;
    return x[0];
  }
};

constexpr int kForward = 6, kBackward = 10;
const Kernel kKernels[] = {
    {"linear_scan", "float32", kForward, forward<Linear, float>},
    {"linear_scan", "float64", kForward, forward<Linear, double>},
    {"linear_scan", "bfloat16", kForward, forward<Linear, BFloat16>},
    {"linear_scan", "complex64", kForward, forward<Linear, Complex<float>>},
    {"linear_scan", "complex128", kForward, forward<Linear, Complex<double>>},
    {"linear_scan_backward", "float32", kBackward, backward<Linear, float>},
    {"linear_scan_backward", "float64", kBackward, backward<Linear, double>},
    {"linear_scan_backward", "bfloat16", kBackward, backward<Linear, BFloat16>},
    {"linear_scan_backward", "complex64", kBackward, backward<Linear, Complex<float>>},
    {"linear_scan_backward", "complex128", kBackward, backward<Linear, Complex<double>>},
};

}  // namespace

const KernelTable linear_scan_kernels = {kKernels, sizeof kKernels / sizeof *kKernels};

}  // namespace statewise::STATEWISE_INSTRUCTION_SET
