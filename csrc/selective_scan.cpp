// The selective scan, one token after the other: N states for each channel, whose steps, inputs and outputs are data.
//
//   x_t = exp(δ_t A) x_{t-1} + δ_t u_t B_t        y_t = Σ_n C_t x_t
//
// Forward   places  u, delta, A, B, C, initial, reset?, outputs, final, entering
// Backward  places  u, delta, A, B, C, entering, reset?, grad_outputs, grad_final,
//                   grad_u, grad_delta, grad_A, grad_B, grad_C, grad_initial
//
// shape (B, T, E). options: N and P. u, B, C and the outputs are in the stored type, all else in the computed one. Rows
// are (E,), of B and C (N,); A and the states are (B, E, N), their second stride from channel to channel. `entering`
// (B, ⌈T/P⌉, N, E) are the states before every P-th token, from which the backward makes the others again.
//
// Gradients, with G_t that of x_t from all later tokens, s_t = Σ_n B_t G_t and M_t = G_t a_t x_{t-1}, a = exp(δA):
//
//   G_t += C_t ẏ_t    Ċ_t = Σ_e ẏ_t x_t    Ḃ_t = Σ_e δ_t u_t G_t    u̇ = δ s    δ̇ = u s + Σ_n A M    Ȧ = Σ_t δ M
//   G_{t-1} = a_t G_t
//
// Sixteen channels are worked on together, one for each lane: the sums over a channel's states then never cross lanes.
// Those over channels, for B and C, do so once for a token, after all channels of a task were added up lane
// by lane. Where there are few sequences their channels are shared out in groups, whose parts of those sums are added
// in the end. All this is a function of the shape alone: the number of threads changes no bit.

#include "diagonal.hpp"
#include "exponentials.hpp"
#include "kernels.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

constexpr int64_t kLanes = 16;
// As many tasks as the groups of all sequences together should be.
constexpr int64_t kEnoughTasks = 4;

struct Sizes {
  int64_t batch, time, channels, states, period;

  explicit Sizes(const Problem& problem)
      : batch(problem.shape.batch), time(problem.shape.time), channels(problem.shape.channels),
        states(problem.options[0]), period(problem.options[1]) {}

  // Numbers of the states of one block of channels.
  int64_t block() const { return states * kLanes; }
  int64_t blocks() const { return ceil_div(channels, kLanes); }
  int64_t groups() const { return smaller(blocks(), ceil_div(kEnoughTasks, batch)); }
  int64_t pieces() const { return ceil_div(time, period); }
  bool worth_threads() const { return batch * time * channels * states >= kWorthThreads; }
};

// Up to sixteen channels of one sequence.
struct Block {
  int64_t batch, first, count;

  Block(const Sizes& sizes, int64_t b, int64_t index)
      : batch(b), first(index * kLanes), count(smaller(kLanes, sizes.channels - index * kLanes)) {}
};

// Calls work(lane) for every channel of a block; where there are sixteen, the compiler knows.
template <typename Work>
STATEWISE_INLINE void for_lanes(int64_t count, const Work& work) {
  if (count == kLanes) {
STATEWISE_INDEPENDENT
    for (int64_t c = 0; c < kLanes; ++c) work(c);
    return;
  }
  for (int64_t c = 0; c < count; ++c) work(c);
}

// A block's channels at the tokens from `first` to `last`, from and to lanes, (P, 16). Lanes beyond the last channel
// are zeros: their states stay zeros, and they add nothing to any sum.
template <typename Stored, typename Number>
void read_lanes(const Operand<const Stored>& rows, const Block& block, int64_t first, int64_t last, Number* lanes) {
  if (block.count < kLanes) clear_numbers(lanes, (last - first) * kLanes);
  for (int64_t t = first; t < last; ++t, lanes += kLanes) {
    const Stored* row = rows.row(block.batch, t) + block.first;
    for_lanes(block.count, [=](int64_t c) { lanes[c] = load(row[c]); });
  }
}
template <typename Stored, typename Number>
void write_lanes(const Number* lanes, const Block& block, int64_t first, int64_t last, const Operand<Stored>& rows) {
  for (int64_t t = first; t < last; ++t, lanes += kLanes) {
    Stored* row = rows.row(block.batch, t) + block.first;
    for_lanes(block.count, [=](int64_t c) { store(row[c], lanes[c]); });
  }
}

// Asks the cache for a block's channels at a token, well before they are used: rows of other tokens are far apart,
// which the hardware does not foresee.
template <typename Element>
STATEWISE_INLINE void ask_for(const Operand<Element>& rows, const Block& block, int64_t t) {
  prefetch(rows.row(block.batch, t), block.first, block.first + block.count);
}

// Rates or states (B, E, N) from and to lanes, (N, 16).
template <typename Number>
void take_channels(const Operand<const Number>& matrix, const Sizes& sizes, const Block& block, Number* lanes) {
  clear_numbers(lanes, sizes.block());
  for (int64_t c = 0; c < block.count; ++c) {
    const Number* row = matrix.row(block.batch, block.first + c);
    for (int64_t n = 0; n < sizes.states; ++n) lanes[n * kLanes + c] = row[n];
  }
}
template <typename Number>
void put_channels(const Number* lanes, const Sizes& sizes, const Block& block, const Operand<Number>& matrix) {
  for (int64_t c = 0; c < block.count; ++c) {
    Number* row = matrix.row(block.batch, block.first + c);
    for (int64_t n = 0; n < sizes.states; ++n) row[n] = lanes[n * kLanes + c];
  }
}

// The states (N, E) that enter a piece, as rows of channels.
template <typename Number>
Place entering_at(const Place& place, const Sizes& sizes, int64_t piece) {
  const int64_t size = sizes.states * sizes.channels;
  return {static_cast<Number*>(place.data) + piece * size, sizes.pieces() * size, sizes.channels};
}

// What one token gives to the lanes of a block, and its rows of B and C.
template <typename Number>
struct Token {
  const Number *u, *step, *driven, *in, *out;
};

// The inputs of one piece of time, in the computed type. They are read all together before any is used: so the cache is
// asked for many lines at a time, and no vector is read back while a part of it is still being written.
template <typename Stored>
class Piece {
 public:
  using Number = computed<Stored>;

  Piece(const Place* place, const Sizes& sizes)
      : sizes_(sizes), u_rows_(place[0]), delta_rows_(place[1]), B_rows_(place[3]), C_rows_(place[4]),
        u_(sizes.period * kLanes),
        step_(sizes.period * kLanes), driven_(sizes.period * kLanes), in_(sizes.period * sizes.states),
        out_(sizes.period * sizes.states) {}

  void read_maps(int64_t b, int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) {
      const Stored *in = B_rows_.row(b, t), *out = C_rows_.row(b, t);
      for (int64_t n = 0; n < sizes_.states; ++n) *in_.at((t - first) * sizes_.states + n) = load(in[n]);
      for (int64_t n = 0; n < sizes_.states; ++n) *out_.at((t - first) * sizes_.states + n) = load(out[n]);
    }
  }

  void read_channels(const Block& block, int64_t first, int64_t last) {
    read_lanes(u_rows_, block, first, last, u_.at(0));
    read_lanes(delta_rows_, block, first, last, step_.at(0));
    Number *u = u_.at(0), *step = step_.at(0), *driven = driven_.at(0);
STATEWISE_INDEPENDENT
    for (int64_t i = 0; i < (last - first) * kLanes; ++i) driven[i] = step[i] * u[i];
  }

  void ask_for_channels(const Block& block, int64_t t) const {
    ask_for(u_rows_, block, t);
    ask_for(delta_rows_, block, t);
  }

  // Of the piece's tokens, the one at `index`.
  Token<Number> token(int64_t index) {
    return {u_.at(index * kLanes), step_.at(index * kLanes), driven_.at(index * kLanes), in_.at(index * sizes_.states),
            out_.at(index * sizes_.states)};
  }

 private:
  const Sizes& sizes_;
  Operand<const Stored> u_rows_;
  Operand<const Number> delta_rows_;
  Operand<const Stored> B_rows_, C_rows_;
  Numbers<Number> u_, step_, driven_, in_, out_;
};

// One token: the states, in place, and the output.
template <typename Number>
STATEWISE_INLINE void advance(const Token<Number>& token, const Number* rates, int64_t states,
                              Number* x, Number* output) {
  Number sums[kLanes] = {};
  for (int64_t n = 0; n < states; ++n) {
    const Number in = token.in[n], out = token.out[n];
    const Number* rate = rates + n * kLanes;
    Number* at = x + n * kLanes;
STATEWISE_INDEPENDENT
    for (int64_t c = 0; c < kLanes; ++c) {
      const Number decay = exponential(token.step[c] * rate[c]);
      const Number next = mul_add(decay, at[c], token.driven[c] * in);
      at[c] = next;
      sums[c] = mul_add(out, next, sums[c]);
    }
  }
  for (int64_t c = 0; c < kLanes; ++c) output[c] = sums[c];
}

// As `advance`, keeping the decays and both states instead of reading out.
template <typename Number>
STATEWISE_INLINE void retrace(const Token<Number>& token, const Number* rates, int64_t states,
                              const Number* before, Number* decays, Number* after) {
  for (int64_t n = 0; n < states; ++n) {
    const Number in = token.in[n];
    const int64_t row = n * kLanes;
STATEWISE_INDEPENDENT
    for (int64_t c = 0; c < kLanes; ++c) {
      const Number decay = exponential(token.step[c] * rates[row + c]);
      decays[row + c] = decay;
      after[row + c] = mul_add(decay, before[row + c], token.driven[c] * in);
    }
  }
}

// What the backward adds up for a block over all tokens, and for a token over all channels, lane by lane.
template <typename Number>
struct Sums {
  Number *on_state, *on_rates, *on_in, *on_out;
};

// One token backwards: `on_state` from the gradient after it to that before it.
template <typename Number>
STATEWISE_INLINE void retreat(const Token<Number>& token, const Number* rates, int64_t states,
                              const Number* incoming, const Number* before, const Number* decays, const Number* after,
                              const Sums<Number>& sums, Number* on_u, Number* on_step) {
  Number on_driven[kLanes] = {}, through_rates[kLanes] = {};
  for (int64_t n = 0; n < states; ++n) {
    const Number in = token.in[n], out = token.out[n];
    const int64_t row = n * kLanes;
STATEWISE_INDEPENDENT
    for (int64_t c = 0; c < kLanes; ++c) {
      const int64_t i = row + c;
      const Number grad = mul_add(out, incoming[c], sums.on_state[i]);
      const Number on_exponent = grad * (decays[i] * before[i]);
      sums.on_out[i] = mul_add(incoming[c], after[i], sums.on_out[i]);
      sums.on_in[i] = mul_add(token.driven[c], grad, sums.on_in[i]);
      sums.on_rates[i] = mul_add(token.step[c], on_exponent, sums.on_rates[i]);
      on_driven[c] = mul_add(in, grad, on_driven[c]);
      through_rates[c] = mul_add(rates[i], on_exponent, through_rates[c]);
      sums.on_state[i] = decays[i] * grad;
    }
  }
  for (int64_t c = 0; c < kLanes; ++c) {
    on_step[c] = mul_add(token.u[c], on_driven[c], through_rates[c]);
    on_u[c] = token.step[c] * on_driven[c];
  }
}

template <typename Stored>
void forward_block(const Problem& problem, const Sizes& sizes, const Block& block) {
  using Number = computed<Stored>;
  const Place* place = problem.places;
  const Operand<const Number> A(place[2]), initial(place[5]);
  const Operand<const std::uint8_t> reset(place[6]);
  const Operand<Stored> outputs(place[7]);
  const Operand<Number> final(place[8]);

  Piece<Stored> inputs(place, sizes);
  Numbers<Number> rates(sizes.block()), states(sizes.block()), output(sizes.period * kLanes);
  Number* x = states.at(0);
  take_channels(A, sizes, block, rates.at(0));
  take_channels(initial, sizes, block, x);
  for (int64_t first = 0; first < sizes.time; first += sizes.period) {
    const int64_t last = smaller(first + sizes.period, sizes.time);
    const Operand<Number> entering(entering_at<Number>(place[9], sizes, first / sizes.period));
    write_lanes(x, block, 0, sizes.states, entering);
    inputs.read_maps(block.batch, first, last);
    inputs.read_channels(block, first, last);
    for (int64_t t = first; t < last; ++t) {
      if (t + sizes.period < sizes.time) {
        inputs.ask_for_channels(block, t + sizes.period);
        ask_for(outputs, block, t + sizes.period);
      }
      if (reset.data && *reset.row(block.batch, t)) clear_numbers(x, sizes.block());
      advance(inputs.token(t - first), rates.at(0), sizes.states, x, output.at((t - first) * kLanes));
    }
    write_lanes(output.at(0), block, first, last, outputs);
  }
  put_channels(x, sizes, block, final);
}

// A sum over lanes in pairs of halves, always in the same order.
template <typename Number>
STATEWISE_INLINE Number over_lanes(const Number* lanes) {
  Number sums[kLanes / 2];
  for (int64_t c = 0; c < kLanes / 2; ++c) sums[c] = lanes[c] + lanes[kLanes / 2 + c];
  for (int64_t half = kLanes / 4; half > 0; half /= 2)
    for (int64_t c = 0; c < half; ++c) sums[c] = sums[c] + sums[half + c];
  return sums[0];
}

// The gradients of one sequence and a group of its blocks. Those of B and C, which other groups add to, are left in
// `parts` (T, 2N).
template <typename Stored>
class BackwardGroup {
 public:
  using Number = computed<Stored>;

  BackwardGroup(const Problem& problem, const Sizes& sizes, int64_t b, int64_t first_block, int64_t last_block)
      : sizes_(sizes), b_(b), first_block_(first_block), count_(last_block - first_block), entering_(problem.places[5]),
        reset_(problem.places[6]), grad_outputs_(problem.places[7]), grad_u_(problem.places[9]),
        grad_delta_(problem.places[10]), inputs_(problem.places, sizes), rates_(count_ * sizes.block()),
        on_rates_(count_ * sizes.block()), on_states_(count_ * sizes.block()),
        states_((sizes.period + 1) * sizes.block()), decays_(sizes.period * sizes.block()), none_(sizes.block()),
        on_in_(sizes.period * sizes.block()), on_out_(sizes.period * sizes.block()), incoming_(sizes.period * kLanes),
        on_u_(sizes.period * kLanes), on_step_(sizes.period * kLanes) {}

  void run(const Place* place, Number* parts) {
    const Operand<const Number> A(place[2]), grad_final(place[8]);
    for (int64_t index = 0; index < count_; ++index) {
      take_channels(A, sizes_, block(index), rates_.at(index * sizes_.block()));
      take_channels(grad_final, sizes_, block(index), on_states_.at(index * sizes_.block()));
    }
    clear_numbers(on_rates_.at(0), count_ * sizes_.block());
    clear_numbers(none_.at(0), sizes_.block());
    for (int64_t piece = sizes_.pieces() - 1; piece >= 0; --piece) run_piece(piece, parts);
    const Operand<Number> grad_A(place[11]), grad_initial(place[14]);
    for (int64_t index = 0; index < count_; ++index) {
      put_channels(on_rates_.at(index * sizes_.block()), sizes_, block(index), grad_A);
      put_channels(on_states_.at(index * sizes_.block()), sizes_, block(index), grad_initial);
    }
  }

 private:
  Block block(int64_t index) const { return Block(sizes_, b_, first_block_ + index); }
  bool starts(int64_t t) const { return reset_.data && *reset_.row(b_, t); }

  void run_piece(int64_t piece, Number* parts) {
    const int64_t first = piece * sizes_.period, last = smaller(first + sizes_.period, sizes_.time);
    inputs_.read_maps(b_, first, last);
    clear_numbers(on_in_.at(0), (last - first) * sizes_.block());
    clear_numbers(on_out_.at(0), (last - first) * sizes_.block());
    for (int64_t index = 0; index < count_; ++index) {
      inputs_.read_channels(block(index), first, last);
      retrace_piece(index, piece, first, last);
      retreat_piece(index, first, last);
    }
    for (int64_t t = first; t < last; ++t) {
      Number* part = parts + t * 2 * sizes_.states;
      const Number *in = on_in_.at((t - first) * sizes_.block()), *out = on_out_.at((t - first) * sizes_.block());
      for (int64_t n = 0; n < sizes_.states; ++n) part[n] = over_lanes(in + n * kLanes);
      for (int64_t n = 0; n < sizes_.states; ++n) part[sizes_.states + n] = over_lanes(out + n * kLanes);
    }
  }

  void retrace_piece(int64_t index, int64_t piece, int64_t first, int64_t last) {
    const Operand<const Number> entering(entering_at<Number>(entering_, sizes_, piece));
    read_lanes(entering, block(index), 0, sizes_.states, states_.at(0));
    for (int64_t t = first; t < last; ++t) {
      if (index + 1 < count_) inputs_.ask_for_channels(block(index + 1), t);
      ask_for(grad_outputs_, block(index), t);
      ask_for(grad_u_, block(index), t);
      ask_for(grad_delta_, block(index), t);
      const int64_t place = (t - first) * sizes_.block();
      const Number* before = starts(t) ? none_.at(0) : states_.at(place);
      retrace(inputs_.token(t - first), rates_.at(index * sizes_.block()), sizes_.states, before, decays_.at(place),
              states_.at(place + sizes_.block()));
    }
  }

  void retreat_piece(int64_t index, int64_t first, int64_t last) {
    read_lanes(grad_outputs_, block(index), first, last, incoming_.at(0));
    Number* on_state = on_states_.at(index * sizes_.block());
    for (int64_t t = last - 1; t >= first; --t) {
      const int64_t place = (t - first) * sizes_.block(), lanes = (t - first) * kLanes;
      const Number* before = starts(t) ? none_.at(0) : states_.at(place);
      const Sums<Number> sums = {on_state, on_rates_.at(index * sizes_.block()), on_in_.at(place), on_out_.at(place)};
      retreat(inputs_.token(t - first), rates_.at(index * sizes_.block()), sizes_.states, incoming_.at(lanes), before,
              decays_.at(place), states_.at(place + sizes_.block()), sums, on_u_.at(lanes), on_step_.at(lanes));
      if (starts(t)) clear_numbers(on_state, sizes_.block());
    }
    write_lanes(on_u_.at(0), block(index), first, last, grad_u_);
    write_lanes(on_step_.at(0), block(index), first, last, grad_delta_);
  }

  const Sizes& sizes_;
  int64_t b_, first_block_, count_;
  Place entering_;
  Operand<const std::uint8_t> reset_;
  Operand<const Stored> grad_outputs_;
  Operand<Stored> grad_u_;
  Operand<Number> grad_delta_;
  Piece<Stored> inputs_;
  Numbers<Number> rates_, on_rates_, on_states_, states_, decays_, none_, on_in_, on_out_, incoming_, on_u_, on_step_;
};

template <typename Stored>
void run_forward(const Problem& problem) {
  const Sizes sizes(problem);
  const int64_t blocks = sizes.blocks();
  in_parallel(sizes.batch * blocks, problem.threads, sizes.worth_threads(), [&](int64_t task) {
    forward_block<Stored>(problem, sizes, Block(sizes, task / blocks, task % blocks));
  });
}

template <typename Stored>
void run_backward(const Problem& problem) {
  using Number = computed<Stored>;
  const Sizes sizes(problem);
  const int64_t blocks = sizes.blocks(), groups = sizes.groups(), row = 2 * sizes.states, part = sizes.time * row;
  Numbers<Number> parts(sizes.batch * groups * part);
  in_parallel(sizes.batch * groups, problem.threads, sizes.worth_threads(), [&](int64_t task) {
    const int64_t b = task / groups, group = task % groups;
    BackwardGroup<Stored>(problem, sizes, b, blocks * group / groups, blocks * (group + 1) / groups)
        .run(problem.places, parts.at(task * part));
  });
  const Operand<Stored> grad_B(problem.places[12]), grad_C(problem.places[13]);
  in_parallel(sizes.batch, problem.threads, sizes.worth_threads(), [&](int64_t b) {
    for (int64_t t = 0; t < sizes.time; ++t) {
      Number* sums = parts.at(b * groups * part + t * row);
      for (int64_t group = 1; group < groups; ++group)
        for (int64_t i = 0; i < row; ++i) sums[i] = sums[i] + sums[group * part + i];
      for (int64_t n = 0; n < sizes.states; ++n) store(grad_B.row(b, t)[n], sums[n]);
      for (int64_t n = 0; n < sizes.states; ++n) store(grad_C.row(b, t)[n], sums[sizes.states + n]);
    }
  });
}

constexpr int kForward = 10, kBackward = 15;
const Kernel kKernels[] = {
    {"selective_scan", "float32", kForward, run_forward<float>},
    {"selective_scan", "float64", kForward, run_forward<double>},
    {"selective_scan", "bfloat16", kForward, run_forward<BFloat16>},
    {"selective_scan_backward", "float32", kBackward, run_backward<float>},
    {"selective_scan_backward", "float64", kBackward, run_backward<double>},
    {"selective_scan_backward", "bfloat16", kBackward, run_backward<BFloat16>},
};

}  // namespace

const KernelTable selective_scan_kernels = {kKernels, sizeof kKernels / sizeof *kKernels};

}  // namespace statewise::STATEWISE_INSTRUCTION_SET
