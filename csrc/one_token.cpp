// What stands around the matrix products of one decoded token, for inference: no backward.
//
// causal_conv_step        places  x, window, weight, bias?, outputs, next_window
//
//   y = Σ_j w_j x_{t-j} + b, and SiLU of it where options[0] is 1. shape (B, K, D). x and the outputs are (B, D), the
//   windows (B, K-1, D), oldest first, the weight (K, D), newest first, its second stride from tap to tap.
//
// selective_state_update  places  u, selected, step_weight, step_bias, log_rates, skip, z, state, outputs, next_state
//
//   (r, B, C) = selected    δ = softplus(W r + bias)    x' = exp(-δ e^a) x + δ u B    y = (C x' + skip u) SiLU(z)
//   shape (B, E, N); options[0] is R. States are (B, E, N) in the computed type, the rates (E, N) and W (E, R), their
//   second strides from channel to channel; selected is (B, R+2N), the rest (B, E), bias and skip the same for every
//   sequence.
//
// rms_norm                places  x, weight?, outputs
//
//   y = w x / √(mean x² + ε). shape (B, 1, D); options[0] are the bits of ε in double.
//
// All else is in the stored type. A strided axis lies in a place's batch stride, where there is no batch.

#include "diagonal.hpp"
#include "exponentials.hpp"
#include "kernels.hpp"

#include <cmath>

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

template <typename Element>
Element* row(const Place& place, int64_t b, int64_t t = 0) {
  return Operand<Element>(place).row(b, t);
}

template <typename Number>
STATEWISE_INLINE Number silu(Number x) {
  return x * sigmoids(x).of;
}

template <typename Stored>
void run_causal_conv_step(const Problem& problem) {
  using Number = computed<Stored>;
  const int64_t batch = problem.shape.batch, taps = problem.shape.time, channels = problem.shape.channels;
  const Place* place = problem.places;
  const bool gated = problem.options[0];
  const Stored* bias = static_cast<const Stored*>(place[3].data);
  in_parallel(batch, problem.threads, batch * taps * channels >= kWorthThreads, [&](int64_t b) {
    Numbers<Number> sums(channels);
    Number* sum = sums.at(0);
    for (int64_t c = 0; c < channels; ++c) sum[c] = bias ? load(bias[c]) : Number{};
    for (int64_t j = 0; j < taps; ++j) {
      const Stored* seen = j ? row<const Stored>(place[1], b, taps - 1 - j) : row<const Stored>(place[0], b);
      const Stored* weight = row<const Stored>(place[2], j);
STATEWISE_INDEPENDENT
      for (int64_t c = 0; c < channels; ++c) sum[c] = mul_add(load(weight[c]), load(seen[c]), sum[c]);
      // The newest token's row is the last of the next window, and the oldest one leaves.
      if (j + 1 < taps) std::memcpy(row<Stored>(place[5], b, taps - 2 - j), seen, channels * sizeof(Stored));
    }
    Stored* output = row<Stored>(place[4], b);
    if (gated) {
STATEWISE_INDEPENDENT
      for (int64_t c = 0; c < channels; ++c) sum[c] = silu(sum[c]);
    }
    for (int64_t c = 0; c < channels; ++c) store(output[c], sum[c]);
  });
}

// torch's softplus is the identity from 20 on.
template <typename Number>
Number softplus(Number x) {
  return x > Number{20} ? x : std::log1p(std::exp(x));
}

// A sum in pairs of halves, always in the same order.
template <typename Number>
Number pairwise(Number* numbers, int64_t count) {
  while (count > 1) {
    const int64_t half = (count + 1) / 2;
    for (int64_t i = 0; i < count - half; ++i) numbers[i] = numbers[i] + numbers[half + i];
    count = half;
  }
  return numbers[0];
}

// One channel's states, N of them: read, advanced, written, and read out.
template <typename Number>
STATEWISE_INLINE void advance_channel(int64_t states, Number step, Number driven, const Number* rates, const Number* in,
                                      const Number* out, const Number* before, Number* after, Number* parts) {
STATEWISE_INDEPENDENT
  for (int64_t n = 0; n < states; ++n) {
    const Number next = mul_add(exp_negative(-step * rates[n]), before[n], driven * in[n]);
    after[n] = next;
    parts[n] = out[n] * next;
  }
}

template <typename Stored>
void run_selective_state_update(const Problem& problem) {
  using Number = computed<Stored>;
  const int64_t batch = problem.shape.batch, channels = problem.shape.time, states = problem.shape.channels;
  const Place* place = problem.places;
  const int64_t all = channels * states, rank = problem.options[0];
  Numbers<Number> rates(all);
  for (int64_t e = 0; e < channels; ++e) {
    const Stored* logs = row<const Stored>(place[4], e);
    Number* to = rates.at(e * states);
STATEWISE_INDEPENDENT
    for (int64_t n = 0; n < states; ++n) to[n] = exponential(load(logs[n]));
  }
  const Stored *bias = row<const Stored>(place[3], 0), *skip = row<const Stored>(place[5], 0);
  in_parallel(batch, problem.threads, batch * all >= kWorthThreads, [&](int64_t b) {
    Numbers<Number> selected(rank + 2 * states), parts(states), gates(channels);
    Number *low = selected.at(0), *in = selected.at(rank), *out = selected.at(rank + states), *gate = gates.at(0);
    const Stored* row_of_selected = row<const Stored>(place[1], b);
    for (int64_t i = 0; i < rank + 2 * states; ++i) low[i] = load(row_of_selected[i]);
    const Stored *u = row<const Stored>(place[0], b), *z = row<const Stored>(place[6], b);
STATEWISE_INDEPENDENT
    for (int64_t e = 0; e < channels; ++e) gate[e] = silu(load(z[e]));
    Stored* outputs = row<Stored>(place[8], b);
    for (int64_t e = 0; e < channels; ++e) {
      const Stored* weight = row<const Stored>(place[2], e);
      Number raised = load(bias[e]);
      for (int64_t r = 0; r < rank; ++r) raised = mul_add(load(weight[r]), low[r], raised);
      const Number step = softplus(raised), at = load(u[e]);
      advance_channel(states, step, step * at, rates.at(e * states), in, out, row<const Number>(place[7], b, e),
                      row<Number>(place[9], b, e), parts.at(0));
      store(outputs[e], mul_add(load(skip[e]), at, pairwise(parts.at(0), states)) * gate[e]);
    }
  });
}

// Squares are added up in so many lanes, whose sums are then added in pairs.
constexpr int64_t kNormLanes = 16;

template <typename Stored>
void run_rms_norm(const Problem& problem) {
  using Number = computed<Stored>;
  const int64_t batch = problem.shape.batch, channels = problem.shape.channels;
  const Place* place = problem.places;
  const Stored* weight = static_cast<const Stored*>(place[1].data);
  const Number epsilon = static_cast<Number>(bits_as<double>(problem.options[0]));
  in_parallel(batch, problem.threads, batch * channels >= kWorthThreads, [&](int64_t b) {
    const Stored* x = row<const Stored>(place[0], b);
    Stored* output = row<Stored>(place[2], b);
    Number sums[kNormLanes] = {};
    const int64_t whole = channels / kNormLanes * kNormLanes;
    for (int64_t first = 0; first < whole; first += kNormLanes)
      for (int64_t c = 0; c < kNormLanes; ++c) {
        const Number value = load(x[first + c]);
        sums[c] = mul_add(value, value, sums[c]);
      }
    for (int64_t c = whole; c < channels; ++c) {
      const Number value = load(x[c]);
      sums[c - whole] = mul_add(value, value, sums[c - whole]);
    }
    const Number scale = Number{1} / std::sqrt(pairwise(sums, kNormLanes) / static_cast<Number>(channels) + epsilon);
STATEWISE_INDEPENDENT
    for (int64_t c = 0; c < channels; ++c) store(output[c], load(x[c]) * scale * (weight ? load(weight[c]) : Number{1}));
  });
}

constexpr int kConv = 6, kUpdate = 10, kNorm = 3;
const Kernel kKernels[] = {
    {"causal_conv_step", "float32", kConv, run_causal_conv_step<float>},
    {"causal_conv_step", "float64", kConv, run_causal_conv_step<double>},
    {"causal_conv_step", "bfloat16", kConv, run_causal_conv_step<BFloat16>},
    {"selective_state_update", "float32", kUpdate, run_selective_state_update<float>},
    {"selective_state_update", "float64", kUpdate, run_selective_state_update<double>},
    {"selective_state_update", "bfloat16", kUpdate, run_selective_state_update<BFloat16>},
    {"rms_norm", "float32", kNorm, run_rms_norm<float>},
    {"rms_norm", "float64", kNorm, run_rms_norm<double>},
    {"rms_norm", "bfloat16", kNorm, run_rms_norm<BFloat16>},
};

}  // namespace

const KernelTable one_token_kernels = {kKernels, sizeof kKernels / sizeof *kKernels};

}  // namespace statewise::STATEWISE_INSTRUCTION_SET
