// minLSTM from its pre-activations, h_t = a_t h_{t-1} + b_t g(u_t). Inputs: forget gate p, input gate q, candidate u.
// a = σ(p) and b = σ(q), or normalised a = σ(p) / (σ(p) + σ(q)) and b = 1 - a. Options: the candidate's activation,
// 0 g, 1 tanh, 2 identity; plus 3 where normalised.

#include "candidate.hpp"
#include "diagonal.hpp"
#include "kernels.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

template <typename Activation>
struct Plain {
  static constexpr int kInputs = 3;

  template <typename Number>
  static STATEWISE_INLINE DecayDrive<Number> decay_and_drive(const Number (&x)[kInputs]) {
    return {sigmoids(x[0]).of, sigmoids(x[1]).of * Activation::at(x[2]).value};
  }

  template <typename Number>
  static STATEWISE_INLINE Number gradient(const Number (&x)[kInputs], Number grad, Number previous, Number (&on_x)[kInputs]) {
    const Sigmoids<Number> forget = sigmoids(x[0]), input = sigmoids(x[1]);
    const ValueSlope<Number> candidate = Activation::at(x[2]);
    on_x[0] = grad * previous * (forget.of * forget.of_negated);
    on_x[1] = grad * candidate.value * (input.of * input.of_negated);
    on_x[2] = grad * input.of * candidate.slope;
    return forget.of;
  }
};

template <typename Number>
struct Shares {
  Sigmoids<Number> forget, input;
  Number kept, written;
};

// Where both gates are below -40, σ(x) is e^x to the last bit, so that one amount added to both changes no share; it
// keeps σ(p) + σ(q) from vanishing, and the slopes σ(-p), σ(-q) at 1.
template <typename Number>
STATEWISE_INLINE Shares<Number> shares(Number p, Number q) {
  const Number top = (p < q ? q : p) + Number{40};
  const Number shift = top < Number{0} ? top : Number{0};
  const Sigmoids<Number> forget = sigmoids(p - shift), input = sigmoids(q - shift);
  const Number scale = Number{1} / (forget.of + input.of);
  return {forget, input, forget.of * scale, input.of * scale};
}

template <typename Activation>
struct Normalised {
  static constexpr int kInputs = 3;

  template <typename Number>
  static STATEWISE_INLINE DecayDrive<Number> decay_and_drive(const Number (&x)[kInputs]) {
    const Shares<Number> gates = shares(x[0], x[1]);
    return {gates.kept, gates.written * Activation::at(x[2]).value};
  }

  // a = σ(log σ(p) - log σ(q)), so with o that difference: ∂h/∂o = a b (h' - c), ∂o/∂p = σ(-p), ∂o/∂q = -σ(-q).
  template <typename Number>
  static STATEWISE_INLINE Number gradient(const Number (&x)[kInputs], Number grad, Number previous, Number (&on_x)[kInputs]) {
    const Shares<Number> gates = shares(x[0], x[1]);
    const ValueSlope<Number> candidate = Activation::at(x[2]);
    const Number on_odds = grad * (previous - candidate.value) * (gates.kept * gates.written);
    on_x[0] = on_odds * gates.forget.of_negated;
    on_x[1] = -on_odds * gates.input.of_negated;
    on_x[2] = grad * gates.written * candidate.slope;
    return gates.kept;
  }
};

template <typename Stored>
void run_forward(const Problem& problem) {
  switch (problem.options[0]) {
    case 0: return forward<Plain<Positive>, Stored>(problem);
    case 1: return forward<Plain<Tanh>, Stored>(problem);
    case 2: return forward<Plain<Identity>, Stored>(problem);
    case 3: return forward<Normalised<Positive>, Stored>(problem);
    case 4: return forward<Normalised<Tanh>, Stored>(problem);
    default: return forward<Normalised<Identity>, Stored>(problem);
  }
}

template <typename Stored>
void run_backward(const Problem& problem) {
  switch (problem.options[0]) {
    case 0: return backward<Plain<Positive>, Stored>(problem);
    case 1: return backward<Plain<Tanh>, Stored>(problem);
    case 2: return backward<Plain<Identity>, Stored>(problem);
    case 3: return backward<Normalised<Positive>, Stored>(problem);
    case 4: return backward<Normalised<Tanh>, Stored>(problem);
    default: return backward<Normalised<Identity>, Stored>(problem);
  }
}

constexpr int kForward = 7, kBackward = 12;
const Kernel kKernels[] = {
    {"min_lstm_scan", "float32", kForward, run_forward<float>},
    {"min_lstm_scan", "float64", kForward, run_forward<double>},
    {"min_lstm_scan", "bfloat16", kForward, run_forward<BFloat16>},
    {"min_lstm_scan_backward", "float32", kBackward, run_backward<float>},
    {"min_lstm_scan_backward", "float64", kBackward, run_backward<double>},
    {"min_lstm_scan_backward", "bfloat16", kBackward, run_backward<BFloat16>},
};

}  // namespace

const KernelTable min_lstm_scan_kernels = {kKernels, sizeof kKernels / sizeof *kKernels};

}  // namespace statewise::STATEWISE_INSTRUCTION_SET
