// minGRU from its pre-activations, h_t = σ(-k_t) h_{t-1} + σ(k_t) g(u_t). Inputs: gate k, candidate u. Options: the
// candidate's activation, 0 g, 1 tanh, 2 identity.

#include "candidate.hpp"
#include "diagonal.hpp"
#include "kernels.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

template <typename Activation>
struct MinGru {
  static constexpr int kInputs = 2;

  template <typename Number>
  static STATEWISE_INLINE DecayDrive<Number> decay_and_drive(const Number (&x)[kInputs]) {
    const Sigmoids<Number> gate = sigmoids(x[0]);
    return {gate.of_negated, gate.of * Activation::at(x[1]).value};
  }

  // With z = σ(k) and c = g(u): h = (1 - z) h' + z c, so ∂h/∂z = c - h' and ∂h/∂c = z.
  template <typename Number>
  static STATEWISE_INLINE Number gradient(const Number (&x)[kInputs], Number grad, Number previous, Number (&on_x)[kInputs]) {
    const Sigmoids<Number> gate = sigmoids(x[0]);
    const ValueSlope<Number> candidate = Activation::at(x[1]);
    on_x[0] = grad * (candidate.value - previous) * (gate.of * gate.of_negated);
    on_x[1] = grad * gate.of * candidate.slope;
    return gate.of_negated;
  }
};

template <typename Stored>
void run_forward(const Problem& problem) {
  switch (problem.options[0]) {
    case 0: return forward<MinGru<Positive>, Stored>(problem);
    case 1: return forward<MinGru<Tanh>, Stored>(problem);
    default: return forward<MinGru<Identity>, Stored>(problem);
  }
}

template <typename Stored>
void run_backward(const Problem& problem) {
  switch (problem.options[0]) {
    case 0: return backward<MinGru<Positive>, Stored>(problem);
    case 1: return backward<MinGru<Tanh>, Stored>(problem);
    default: return backward<MinGru<Identity>, Stored>(problem);
  }
}

constexpr int kForward = 6, kBackward = 10;
const Kernel kKernels[] = {
    {"min_gru_scan", "float32", kForward, run_forward<float>},
    {"min_gru_scan", "float64", kForward, run_forward<double>},
    {"min_gru_scan", "bfloat16", kForward, run_forward<BFloat16>},
    {"min_gru_scan_backward", "float32", kBackward, run_backward<float>},
    {"min_gru_scan_backward", "float64", kBackward, run_backward<double>},
    {"min_gru_scan_backward", "bfloat16", kBackward, run_backward<BFloat16>},
};

}  // namespace

const KernelTable min_gru_scan_kernels = {kKernels, sizeof kKernels / sizeof *kKernels};

}  // namespace statewise::STATEWISE_INSTRUCTION_SET
