// The average of the values seen so far, weighted by e^score: o_t = Σ e^{s_i} v_i / Σ e^{s_i} over i ≤ t. A head's
// score weighs all of its channels. The state is the largest score m, the sum d of e^{s_i - m}, and n, the sum of
// e^{s_i - m} v_i:
//
//   m_t = max(m_{t-1}, s_t)   α = e^{m_{t-1} - m_t}   β = e^{s_t - m_t}   d_t = α d_{t-1} + β   n_t = α n_{t-1} + β v_t
//
// and o_t = n_t / d_t. No exponent is positive, so nothing overflows, whatever the scores.
//
//              places
//   Forward    score, value, initial max, initial denominator, initial numerator, reset?,
//              outputs, maxima, denominators, final numerator
//   Backward   score, value, outputs, maxima, denominators, initial max, initial denominator, initial numerator, reset?,
//              grad_outputs, final numerator, grad_max, grad_denominator, grad_numerator,
//              grad_score, grad_value, grad_initial_max, grad_initial_denominator, grad_initial_numerator
//
// score and grad_score are (B, T, H), value, outputs and their gradients (B, T, D); maxima, denominators (B, T, H) and
// all states, (B, H) or (B, D), are in the computed type. Options: channels of a head, D / H.

#include "diagonal.hpp"
#include "exponentials.hpp"
#include "kernels.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

template <typename Number>
constexpr Number kNothing = -__builtin_inf();

// e^{from - to} for from ≤ to. A maximum of nothing (-inf) weighs nothing, also beside another.
template <typename Number>
STATEWISE_INLINE Number weight(Number from, Number to) {
  const Number power = exp_negative(from - to);
  return from == kNothing<Number> ? Number{0} : power;
}

// A NaN wins.
template <typename Number>
STATEWISE_INLINE Number larger(Number a, Number b) {
  return a < b || b != b ? b : a;
}

template <typename Number>
void copy_numbers(const Number* from, Number* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

template <typename Number>
void fill_numbers(Number* numbers, int64_t count, Number value) {
  for (int64_t i = 0; i < count; ++i) numbers[i] = value;
}

template <typename Stored>
class SoftmaxForward {
 public:
  using Number = computed<Stored>;
  static constexpr bool kBackwards = false;

  explicit SoftmaxForward(const Problem& problem)
      : channels_(problem.options[0]),
        score_(problem.places[0]),
        value_(problem.places[1]),
        initial_max_(problem.places[2]),
        initial_denominator_(problem.places[3]),
        initial_numerator_(problem.places[4]),
        reset_(problem.places[5]),
        outputs_(problem.places[6]),
        maxima_(problem.places[7]),
        denominators_(problem.places[8]),
        final_numerator_(problem.places[9]) {}

  int64_t granularity() const { return channels_; }
  int64_t scratch() const { return 7; }

  void begin(const Span& span, Number* numbers) const {
    const State state(*this, span, numbers);
    copy_numbers(initial_max_.row(state.heads, 0), state.max, state.heads.count);
    copy_numbers(initial_denominator_.row(state.heads, 0), state.denominator, state.heads.count);
    copy_numbers(initial_numerator_.row(span, 0), state.numerator, span.count);
  }

  void emit(const Span& span, int64_t time, Number* numbers) const {
    const State state(*this, span, numbers);
    if (starts_sequence(reset_, span, time)) empty(span, state);
    weigh(state, time);
    copy_numbers(state.max, maxima_.row(state.heads, time), state.heads.count);
    copy_numbers(state.denominator, denominators_.row(state.heads, time), state.heads.count);
    const Stored* value = value_.row(span, time);
    Stored* outputs = outputs_.row(span, time);
    for (int64_t h = 0; h < state.heads.count; ++h) {
      const Number old = state.old[h], fresh = state.fresh[h], scale = state.scale[h];
STATEWISE_INDEPENDENT
      for (int64_t c = h * channels_; c < (h + 1) * channels_; ++c) {
        const Number next = old * state.numerator[c] + fresh * load(value[c]);
        state.numerator[c] = next;
        store(outputs[c], next * scale);
      }
    }
  }

  void step(const Span& span, int64_t time, Number* numbers) const { absorb(span, time, numbers); }

  void clear(const Span& span, Number* numbers) const {
    const State state(*this, span, numbers);
    empty(span, state);
    *state.cut = 0;
  }

  void absorb(const Span& span, int64_t time, Number* numbers) const {
    const State state(*this, span, numbers);
    if (starts_sequence(reset_, span, time)) {
      empty(span, state);
      *state.cut = 1;
    }
    weigh(state, time);
    const Stored* value = value_.row(span, time);
    for (int64_t h = 0; h < state.heads.count; ++h)
STATEWISE_INDEPENDENT
      for (int64_t c = h * channels_; c < (h + 1) * channels_; ++c)
        state.numerator[c] = state.old[h] * state.numerator[c] + state.fresh[h] * load(value[c]);
  }

  bool enter(const Span& span, const Number* summary, Number* numbers) const {
    const State state(*this, span, numbers);
    const State more(*this, span, const_cast<Number*>(summary));
    if (*more.cut != 0) empty(span, state);
    for (int64_t h = 0; h < state.heads.count; ++h) {
      const Number max = larger(state.max[h], more.max[h]);
      const Number old = weight(state.max[h], max), fresh = weight(more.max[h], max);
      state.max[h] = max;
      state.denominator[h] = old * state.denominator[h] + fresh * more.denominator[h];
      for (int64_t c = h * channels_; c < (h + 1) * channels_; ++c)
        state.numerator[c] = old * state.numerator[c] + fresh * more.numerator[c];
    }
    return true;
  }

  void end(const Span& span, const Number* numbers) const {
    const State state(*this, span, const_cast<Number*>(numbers));
    copy_numbers(state.numerator, final_numerator_.row(span, 0), span.count);
  }

 private:
  struct State {
    State(const SoftmaxForward& scan, const Span& span, Number* numbers)
        : heads{span.batch, span.first / scan.channels_, span.count / scan.channels_},
          numerator(numbers),
          max(numerator + span.count),
          denominator(max + span.count),
          old(denominator + span.count),
          fresh(old + span.count),
          scale(fresh + span.count),
          cut(scale + span.count) {}

    Span heads;
    Number *numerator, *max, *denominator;
    // Of the last step: α, β and 1/d.
    Number *old, *fresh, *scale;
    // Whether a sequence started in a summary.
    Number* cut;
  };

  static void empty(const Span& span, const State& state) {
    fill_numbers(state.max, state.heads.count, kNothing<Number>);
    clear_numbers(state.denominator, state.heads.count);
    clear_numbers(state.numerator, span.count);
  }

  void weigh(const State& state, int64_t time) const {
    const Stored* score = score_.row(state.heads, time);
STATEWISE_INDEPENDENT
    for (int64_t h = 0; h < state.heads.count; ++h) {
      const Number at = load(score[h]), max = larger(state.max[h], at);
      const Number old = weight(state.max[h], max), fresh = weight(at, max);
      const Number sum = old * state.denominator[h] + fresh;
      state.max[h] = max;
      state.old[h] = old;
      state.fresh[h] = fresh;
      state.denominator[h] = sum;
      state.scale[h] = Number{1} / sum;
    }
  }

  int64_t channels_;
  Operand<const Stored> score_, value_;
  Operand<const Number> initial_max_, initial_denominator_, initial_numerator_;
  Operand<const std::uint8_t> reset_;
  Operand<Stored> outputs_;
  Operand<Number> maxima_, denominators_, final_numerator_;
};

// With g_t the gradient of o_t, what token i is given is Σ over t ≥ i of e^{s_i} g_t / Σ_t, where Σ_t = d_t e^{m_t}.
// The sums that all earlier tokens share are carried backwards, scaled by e^{m_t} so that no exponent is positive:
//
//   R_t = g_t / d_t + γ R_{t+1}   Q_t = (g_t · o_t) / d_t + γ Q_{t+1}   γ = e^{m_t - m_{t+1}}
//   ∂v_t = w R_t                  ∂s_t = w (v_t · R_t - Q_t)            w = e^{s_t - m_t}
//
// and at the end R = ∂n, Q = -∂d, with m_T in place of m_{T+1}. The maximum itself has the gradient
// r = ∂m - d ∂d - n · ∂n, which goes to the token that set it, the first of equals.
template <typename Stored>
class SoftmaxBackward {
 public:
  using Number = computed<Stored>;
  static constexpr bool kBackwards = true;

  explicit SoftmaxBackward(const Problem& problem)
      : channels_(problem.options[0]),
        length_(problem.shape.time),
        score_(problem.places[0]),
        value_(problem.places[1]),
        outputs_(problem.places[2]),
        maxima_(problem.places[3]),
        denominators_(problem.places[4]),
        initial_max_(problem.places[5]),
        initial_denominator_(problem.places[6]),
        initial_numerator_(problem.places[7]),
        reset_(problem.places[8]),
        grad_outputs_(problem.places[9]),
        final_numerator_(problem.places[10]),
        grad_max_(problem.places[11]),
        grad_denominator_(problem.places[12]),
        grad_numerator_(problem.places[13]),
        grad_score_(problem.places[14]),
        grad_value_(problem.places[15]),
        grad_initial_max_(problem.places[16]),
        grad_initial_denominator_(problem.places[17]),
        grad_initial_numerator_(problem.places[18]) {}

  int64_t granularity() const { return channels_; }
  int64_t scratch() const { return 9; }

  void begin(const Span& span, Number* numbers) const {
    const State state(*this, span, numbers);
    const Number* max = length_ ? maxima_.row(state.heads, length_ - 1) : initial_max_.row(state.heads, 0);
    const Number* denominator =
        length_ ? denominators_.row(state.heads, length_ - 1) : initial_denominator_.row(state.heads, 0);
    const Number *final_numerator = final_numerator_.row(span, 0), *on_numerator = grad_numerator_.row(span, 0);
    const Number *on_max = grad_max_.row(state.heads, 0), *on_denominator = grad_denominator_.row(state.heads, 0);
    copy_numbers(on_numerator, state.on_values, span.count);
    for (int64_t h = 0; h < state.heads.count; ++h) {
      Number through_max = on_max[h] - denominator[h] * on_denominator[h];
      for (int64_t c = h * channels_; c < (h + 1) * channels_; ++c) through_max -= final_numerator[c] * on_numerator[c];
      state.on_sum[h] = -on_denominator[h];
      state.after[h] = max[h];
      state.on_max[h] = through_max;
    }
  }

  void emit(const Span& span, int64_t time, Number* numbers) const {
    const State state(*this, span, numbers);
    const bool starts = starts_sequence(reset_, span, time);
    gather(span, time, state);
    const Stored *score = score_.row(state.heads, time), *value = value_.row(span, time);
    const Number* max = maxima_.row(state.heads, time);
    const Number* before = starts ? nullptr : max_before(state, time);
STATEWISE_INDEPENDENT
    for (int64_t h = 0; h < state.heads.count; ++h) state.token[h] = weight(load(score[h]), max[h]);
    Stored *on_score = grad_score_.row(state.heads, time), *on_value = grad_value_.row(span, time);
    for (int64_t h = 0; h < state.heads.count; ++h) {
      const Number token = state.token[h];
      Number dot = -state.on_sum[h];
      for (int64_t c = h * channels_; c < (h + 1) * channels_; ++c) dot += load(value[c]) * state.on_values[c];
      const bool sets_max = !before || before[h] < max[h];
      store(on_score[h], token * dot + (sets_max ? state.on_max[h] : Number{0}));
      if (sets_max) state.on_max[h] = 0;
STATEWISE_INDEPENDENT
      for (int64_t c = h * channels_; c < (h + 1) * channels_; ++c) store(on_value[c], token * state.on_values[c]);
    }
    if (starts) forget(span, state);
  }

  void step(const Span& span, int64_t time, Number* numbers) const { absorb(span, time, numbers); }

  void clear(const Span& span, Number* numbers) const {
    const State state(*this, span, numbers);
    forget(span, state);
    *state.cut = 0;
    *state.begun = 0;
  }

  // Keeps, beside the local sums, the maxima on both sides: `top` at the last step, on_max before the first.
  void absorb(const Span& span, int64_t time, Number* numbers) const {
    const State state(*this, span, numbers);
    if (*state.begun == 0) {
      // In place of the step after, of which nothing is known: it weighs 1 what is still 0.
      copy_numbers(maxima_.row(state.heads, time), state.top, state.heads.count);
      copy_numbers(state.top, state.after, state.heads.count);
    }
    *state.begun = 1;
    gather(span, time, state);
    const bool starts = starts_sequence(reset_, span, time);
    if (starts) {
      forget(span, state);
      *state.cut = 1;
    }
    copy_numbers(max_before(state, time), state.on_max, state.heads.count);
  }

  bool enter(const Span& span, const Number* summary, Number* numbers) const {
    const State state(*this, span, numbers);
    const State more(*this, span, const_cast<Number*>(summary));
    const bool cut = *more.cut != 0;
    for (int64_t h = 0; h < state.heads.count; ++h) {
      const Number old = cut ? Number{0} : weight(more.after[h], state.after[h]);
      state.on_sum[h] = more.on_sum[h] + (cut ? Number{0} : old * state.on_sum[h]);
      for (int64_t c = h * channels_; c < (h + 1) * channels_; ++c)
        state.on_values[c] = more.on_values[c] + (cut ? Number{0} : old * state.on_values[c]);
      if (cut || more.on_max[h] < more.top[h]) state.on_max[h] = 0;
      state.after[h] = more.after[h];
    }
    return true;
  }

  void end(const Span& span, const Number* numbers) const {
    const State state(*this, span, const_cast<Number*>(numbers));
    const Number *max = initial_max_.row(state.heads, 0), *denominator = initial_denominator_.row(state.heads, 0);
    const Number* numerator = initial_numerator_.row(span, 0);
    Number *on_max = grad_initial_max_.row(state.heads, 0),
           *on_denominator = grad_initial_denominator_.row(state.heads, 0);
    Number* on_numerator = grad_initial_numerator_.row(span, 0);
    for (int64_t h = 0; h < state.heads.count; ++h) {
      // Without any token the state is given back as it came, the empty one too.
      const Number scale = length_ ? weight(max[h], state.after[h]) : Number{1};
      Number dot = -denominator[h] * state.on_sum[h];
      for (int64_t c = h * channels_; c < (h + 1) * channels_; ++c) {
        on_numerator[c] = scale * state.on_values[c];
        dot += numerator[c] * state.on_values[c];
      }
      on_denominator[h] = -scale * state.on_sum[h];
      on_max[h] = scale * dot + state.on_max[h];
    }
  }

 private:
  struct State {
    State(const SoftmaxBackward& scan, const Span& span, Number* numbers)
        : heads{span.batch, span.first / scan.channels_, span.count / scan.channels_},
          on_values(numbers),
          on_sum(on_values + span.count),
          after(on_sum + span.count),
          on_max(after + span.count),
          token(on_max + span.count),
          top(token + span.count),
          scale(top + span.count),
          cut(scale + span.count),
          begun(cut + span.count) {}

    Span heads;
    // R, Q, the maximum of the step after, and r until the token is found that takes it.
    Number *on_values, *on_sum, *after, *on_max;
    // w, and for summaries the maximum at the last step; 1/d.
    Number *token, *top, *scale;
    Number *cut, *begun;
  };

  // R and Q of this step.
  void gather(const Span& span, int64_t time, const State& state) const {
    const Number *max = maxima_.row(state.heads, time), *denominator = denominators_.row(state.heads, time);
    const Stored *incoming = grad_outputs_.row(span, time), *outputs = outputs_.row(span, time);
STATEWISE_INDEPENDENT
    for (int64_t h = 0; h < state.heads.count; ++h) {
      state.scale[h] = Number{1} / denominator[h];
      state.token[h] = weight(max[h], state.after[h]);
      state.after[h] = max[h];
    }
    for (int64_t h = 0; h < state.heads.count; ++h) {
      const Number scale = state.scale[h], old = state.token[h];
      Number dot = 0;
      for (int64_t c = h * channels_; c < (h + 1) * channels_; ++c) {
        const Number on_output = load(incoming[c]);
        dot += on_output * load(outputs[c]);
        state.on_values[c] = on_output * scale + old * state.on_values[c];
      }
      state.on_sum[h] = dot * scale + old * state.on_sum[h];
    }
  }

  const Number* max_before(const State& state, int64_t time) const {
    return time ? maxima_.row(state.heads, time - 1) : initial_max_.row(state.heads, 0);
  }

  static void forget(const Span& span, const State& state) {
    clear_numbers(state.on_values, span.count);
    clear_numbers(state.on_sum, state.heads.count);
    clear_numbers(state.on_max, state.heads.count);
  }

  int64_t channels_, length_;
  Operand<const Stored> score_, value_, outputs_;
  Operand<const Number> maxima_, denominators_, initial_max_, initial_denominator_, initial_numerator_;
  Operand<const std::uint8_t> reset_;
  Operand<const Stored> grad_outputs_;
  Operand<const Number> final_numerator_, grad_max_, grad_denominator_, grad_numerator_;
  Operand<Stored> grad_score_, grad_value_;
  Operand<Number> grad_initial_max_, grad_initial_denominator_, grad_initial_numerator_;
};

template <typename Stored>
void run_forward(const Problem& problem) {
  scan(SoftmaxForward<Stored>(problem), problem);
}

template <typename Stored>
void run_backward(const Problem& problem) {
  scan(SoftmaxBackward<Stored>(problem), problem);
}

constexpr int kForward = 10, kBackward = 19;
const Kernel kKernels[] = {
    {"softmax_scan", "float32", kForward, run_forward<float>},
    {"softmax_scan", "float64", kForward, run_forward<double>},
    {"softmax_scan", "bfloat16", kForward, run_forward<BFloat16>},
    {"softmax_scan_backward", "float32", kBackward, run_backward<float>},
    {"softmax_scan_backward", "float64", kBackward, run_backward<double>},
    {"softmax_scan_backward", "bfloat16", kBackward, run_backward<BFloat16>},
};

}  // namespace

const KernelTable softmax_scan_kernels = {kKernels, sizeof kKernels / sizeof *kKernels};

}  // namespace statewise::STATEWISE_INSTRUCTION_SET
