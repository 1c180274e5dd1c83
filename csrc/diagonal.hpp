// Scans whose channels never meet, h_t = a_t · h_{t-1} + b_t, forwards and backwards in time. What makes a_t and b_t
// from the inputs is a gate, a class with
//
//   kInputs                                     rows that it reads
//   decay_and_drive(x) -> {decay, drive}        from the inputs x[kInputs] of one channel
//   gradient(x, grad, previous, on_x) -> decay  writes the inputs' gradients on_x[kInputs], from the gradient of h_t
//                                               and the value of h_{t-1}
//
//              places
//   Forward    inputs …, initial?, reset?, states, final
//   Backward   inputs …, states, initial?, reset?, grad_states?, grad_final?, grad_inputs …, grad_initial
//
// with `?` where the data may be absent, which means zeros.

#pragma once

#include "scan.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

template <typename Number>
struct DecayDrive {
  Number decay, drive;
};

template <typename Stored>
constexpr Stored kZeros[kWidest] = {};

template <typename Number>
void clear_numbers(Number* numbers, int64_t count) {
  for (int64_t c = 0; c < count; ++c) numbers[c] = Number{};
}

// Copies channels of a (B, D) operand into a state, zeros where it is absent.
template <typename Stored, typename Number>
void load_state(const Operand<const Stored>& operand, const Span& span, Number* state) {
  const Stored* row = operand.data ? operand.row(span, 0) : kZeros<Stored>;
  for (int64_t c = 0; c < span.count; ++c) state[c] = load(row[c]);
}

template <typename Stored, typename Number>
void store_state(const Operand<Stored>& operand, const Span& span, const Number* state) {
  Stored* row = operand.row(span, 0);
  for (int64_t c = 0; c < span.count; ++c) store(row[c], state[c]);
}

inline bool starts_sequence(const Operand<const std::uint8_t>& reset, const Span& span, int64_t time) {
  return reset.data && *reset.row(span.batch, time);
}

// A product of decays P and what came in on the way: they take a state h to P · h + local. Where a number is not
// finite only the steps themselves tell: a product may overflow where no state would have, and a reset, whose
// product is 0, holds back what 0 · NaN lets through.
template <typename Number>
bool enter_summary(const Number* summary, int64_t count, Number* state) {
  bool finite = true;
  for (int64_t c = 0; c < count; ++c) {
    finite = finite && is_finite(state[c]) && is_finite(summary[c]) && is_finite(summary[count + c]);
    state[c] = summary[c] * state[c] + summary[count + c];
  }
  return finite;
}

template <typename Number>
void clear_summary(Number* summary, int64_t count) {
  for (int64_t c = 0; c < count; ++c) summary[c] = Number{1};
  clear_numbers(summary + count, count);
}

// Channels whose lines are asked for at once, before their own arithmetic: a core has some sixteen lines under way at a
// time, and a whole row asked for at once makes it wait (backward 28 ms, in pieces 20).
constexpr int64_t kAskedTogether = 64;

template <typename Element>
void prefetch(const Element* row, int64_t from, int64_t to) {
  const char* const end = reinterpret_cast<const char*>(row + to);
  for (const char* line = reinterpret_cast<const char*>(row + from); line < end; line += 64) __builtin_prefetch(line);
}

template <typename Gate, typename Stored>
class Inputs {
 public:
  using Number = computed<Stored>;

  explicit Inputs(const Place*& place) {
    for (Operand<const Stored>& operand : operands_) operand = Operand<const Stored>(*place++);
  }

  struct Rows {
    const Stored* rows[Gate::kInputs];
    STATEWISE_INLINE void read(int64_t c, Number (&x)[Gate::kInputs]) const {
      for (int i = 0; i < Gate::kInputs; ++i) x[i] = load(rows[i][c]);
    }
  };

  void ask_for(const Span& span, int64_t time, int64_t from, int64_t to) const {
    for (const Operand<const Stored>& operand : operands_) prefetch(operand.row(span, time), from, to);
  }

  Rows at(const Span& span, int64_t time) const {
    Rows found;
    for (int i = 0; i < Gate::kInputs; ++i) found.rows[i] = operands_[i].row(span, time);
    return found;
  }

 private:
  Operand<const Stored> operands_[Gate::kInputs];
};

template <typename Gate, typename Stored>
class Forward {
 public:
  using Number = computed<Stored>;
  static constexpr bool kBackwards = false;

  Forward(const Place* place, const Shape& shape)
      : shape_(shape), inputs_(place), initial_(*place++), reset_(*place++), states_(*place++), final_(*place++) {}

  int64_t granularity() const { return 1; }
  int64_t scratch() const { return 2; }

  void begin(const Span& span, Number* state) const { load_state(initial_, span, state); }

  void emit(const Span& span, int64_t time, Number* state) const {
    if (starts_sequence(reset_, span, time)) clear_numbers(state, span.count);
    const bool asks = span.ahead && time + span.ahead < shape_.time;
    const auto rows = inputs_.at(span, time);
    Stored* states = states_.row(span, time);
    for (int64_t from = 0; from < span.count; from += kAskedTogether) {
      const int64_t to = smaller(from + kAskedTogether, span.count);
      if (asks) {
        inputs_.ask_for(span, time + span.ahead, from, to);
        prefetch(states_.row(span, time + span.ahead), from, to);
      }
STATEWISE_INDEPENDENT
      for (int64_t c = from; c < to; ++c) {
        Number x[Gate::kInputs];
        rows.read(c, x);
        const DecayDrive<Number> at = Gate::decay_and_drive(x);
        const Number next = at.decay * state[c] + at.drive;
        state[c] = next;
        store(states[c], next);
      }
    }
  }

  void step(const Span& span, int64_t time, Number* state) const {
    if (starts_sequence(reset_, span, time)) clear_numbers(state, span.count);
    const auto rows = inputs_.at(span, time);
    for (int64_t c = 0; c < span.count; ++c) {
      Number x[Gate::kInputs];
      rows.read(c, x);
      const DecayDrive<Number> at = Gate::decay_and_drive(x);
      state[c] = at.decay * state[c] + at.drive;
    }
  }

  void clear(const Span& span, Number* summary) const { clear_summary(summary, span.count); }

  void absorb(const Span& span, int64_t time, Number* summary) const {
    if (starts_sequence(reset_, span, time)) clear_numbers(summary, 2 * span.count);
    const auto rows = inputs_.at(span, time);
    Number *product = summary, *local = summary + span.count;
STATEWISE_INDEPENDENT
    for (int64_t c = 0; c < span.count; ++c) {
      Number x[Gate::kInputs];
      rows.read(c, x);
      const DecayDrive<Number> at = Gate::decay_and_drive(x);
      product[c] = at.decay * product[c];
      local[c] = at.decay * local[c] + at.drive;
    }
  }

  bool enter(const Span& span, const Number* summary, Number* state) const {
    return enter_summary(summary, span.count, state);
  }

  void end(const Span& span, const Number* state) const { store_state(final_, span, state); }

 private:
  Shape shape_;
  Inputs<Gate, Stored> inputs_;
  Operand<const Stored> initial_;
  Operand<const std::uint8_t> reset_;
  Operand<Stored> states_, final_;
};

// The state is the gradient of h_t from the steps after t.
template <typename Gate, typename Stored>
class Backward {
 public:
  using Number = computed<Stored>;
  static constexpr bool kBackwards = true;

  Backward(const Place* place, const Shape& shape)
      : shape_(shape),
        inputs_(place),
        states_(*place++),
        initial_(*place++),
        reset_(*place++),
        grad_states_(*place++),
        grad_final_(*place++) {
    for (Operand<Stored>& operand : grad_inputs_) operand = Operand<Stored>(*place++);
    grad_initial_ = Operand<Stored>(*place++);
  }

  int64_t granularity() const { return 1; }
  int64_t scratch() const { return 2; }

  void begin(const Span& span, Number* carry) const { load_state(grad_final_, span, carry); }

  void emit(const Span& span, int64_t time, Number* carry) const {
    const bool starts = starts_sequence(reset_, span, time);
    const auto rows = inputs_.at(span, time);
    const Stored* incoming = incoming_at(span, time);
    const Stored* previous = starts          ? kZeros<Stored>
                             : time          ? states_.row(span, time - 1)
                             : initial_.data ? initial_.row(span, 0)
                                             : kZeros<Stored>;
    Stored* grads[Gate::kInputs];
    for (int i = 0; i < Gate::kInputs; ++i) grads[i] = grad_inputs_[i].row(span, time);
    const bool asks = span.ahead && time > span.ahead;
    // Time runs backwards, so the channels do: a walk straight down through memory is prefetched, one in jumps
    // is not.
    for (int64_t to = span.count; to > 0; to -= kAskedTogether) {
      const int64_t from = to > kAskedTogether ? to - kAskedTogether : 0;
      if (asks) {
        inputs_.ask_for(span, time - span.ahead, from, to);
        prefetch(states_.row(span, time - span.ahead - 1), from, to);
        if (grad_states_.data) prefetch(incoming_at(span, time - span.ahead), from, to);
        for (const Operand<Stored>& operand : grad_inputs_) prefetch(operand.row(span, time - span.ahead), from, to);
      }
STATEWISE_INDEPENDENT
      for (int64_t c = to - 1; c >= from; --c) {
        Number x[Gate::kInputs], on_x[Gate::kInputs];
        rows.read(c, x);
        const Number grad = load(incoming[c]) + carry[c];
        const Number decay = Gate::gradient(x, grad, load(previous[c]), on_x);
        carry[c] = conj(decay) * grad;
        for (int i = 0; i < Gate::kInputs; ++i) store(grads[i][c], on_x[i]);
      }
    }
    if (starts) clear_numbers(carry, span.count);
  }

  void step(const Span& span, int64_t time, Number* carry) const {
    const auto rows = inputs_.at(span, time);
    const Stored* incoming = incoming_at(span, time);
    for (int64_t c = 0; c < span.count; ++c) {
      Number x[Gate::kInputs];
      rows.read(c, x);
      carry[c] = conj(Gate::decay_and_drive(x).decay) * (load(incoming[c]) + carry[c]);
    }
    if (starts_sequence(reset_, span, time)) clear_numbers(carry, span.count);
  }

  void clear(const Span& span, Number* summary) const { clear_summary(summary, span.count); }

  void absorb(const Span& span, int64_t time, Number* summary) const {
    const auto rows = inputs_.at(span, time);
    const Stored* incoming = incoming_at(span, time);
    Number *product = summary, *local = summary + span.count;
STATEWISE_INDEPENDENT
    for (int64_t c = 0; c < span.count; ++c) {
      Number x[Gate::kInputs];
      rows.read(c, x);
      const Number decay = conj(Gate::decay_and_drive(x).decay);
      product[c] = decay * product[c];
      local[c] = decay * (load(incoming[c]) + local[c]);
    }
    if (starts_sequence(reset_, span, time)) clear_numbers(summary, 2 * span.count);
  }

  bool enter(const Span& span, const Number* summary, Number* carry) const {
    return enter_summary(summary, span.count, carry);
  }

  void end(const Span& span, const Number* carry) const { store_state(grad_initial_, span, carry); }

 private:
  const Stored* incoming_at(const Span& span, int64_t time) const {
    return grad_states_.data ? grad_states_.row(span, time) : kZeros<Stored>;
  }

  Shape shape_;
  Inputs<Gate, Stored> inputs_;
  Operand<const Stored> states_, initial_;
  Operand<const std::uint8_t> reset_;
  Operand<const Stored> grad_states_, grad_final_;
  Operand<Stored> grad_inputs_[Gate::kInputs], grad_initial_;
};

template <typename Gate, typename Stored>
void forward(const Problem& problem) {
  scan(Forward<Gate, Stored>(problem.places, problem.shape), problem);
}

template <typename Gate, typename Stored>
void backward(const Problem& problem) {
  scan(Backward<Gate, Stored>(problem.places, problem.shape), problem);
}

}  // namespace
}  // namespace statewise::STATEWISE_INSTRUCTION_SET
