// Scans whose state is a matrix for each head, one token after the other with the matrix in the cache:
//
//   u_t = S_{t-1}ᵀ c_t        S_t = diag(d_t) S_{t-1} - r_t u_tᵀ + k_t v_tᵀ        y_t = S_tᵀ q_t
//
// Forward   places  query, key, value, recall?, remove?, decay?, initial, reset?, outputs, final, kept
// Backward  places  query, key, value, recall?, remove?, decay?, reset?, kept, grad_outputs, grad_final,
//                   grad_query, grad_key, grad_value, grad_recall?, grad_remove?, grad_decay?, grad_initial
//
// shape (B, T, H). Rows are (H, K) or (H, V), a decay's (H,) or (H, K). options: K, V, heads of queries and keys (H, or
// 1 that all share), heads' decays' channels (0 where there is none, 1, or K). Recall and remove come together or not at
// all. States, decays and kept are in the computed type, all else in the stored one. `kept` (B, ⌈T/kKept⌉, H, K, V) are
// the states before every kKept-th token, from which the backward steps through the others again.
//
// Gradients, with G_t that of S_t from all later tokens and p = ∂L/∂u_t = -Gᵀ r_t:
//
//   G_t += q_t ẏ_tᵀ    q̇ = S_t ẏ_t    k̇ = G v_t    v̇ = Gᵀ k_t    ṙ = -G u_t    ċ = S_{t-1} p    ḋ = Σ_v G ⊙ S_{t-1}
//   G_{t-1} = diag(d_t) G_t + c_t pᵀ
//
// Heads never meet, so threads share them and the number of threads changes no bit.

#include "diagonal.hpp"
#include "exponentials.hpp"
#include "kernels.hpp"

#ifdef _OPENMP
#define STATEWISE_SIMD(clauses) STATEWISE_PRAGMA(omp simd clauses)
#else
#define STATEWISE_SIMD(clauses)
#endif
#define STATEWISE_PRAGMA(text) _Pragma(#text)

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

// As many states as the second-level cache holds at heads of 64 × 64; the ones kept are then 1/32 of all.
constexpr int64_t kKept = 32;

struct Sizes {
  int64_t batch, time, heads, keys, values, key_heads, decay_channels;

  explicit Sizes(const Problem& problem)
      : batch(problem.shape.batch), time(problem.shape.time), heads(problem.shape.channels), keys(problem.options[0]),
        values(problem.options[1]), key_heads(problem.options[2]), decay_channels(problem.options[3]) {}

  int64_t state() const { return keys * values; }
  int64_t kept_of(int64_t b, int64_t piece, int64_t h) const {
    return ((b * ceil_div(time, kKept) + piece) * heads + h) * state();
  }
};

// One head's rows of some operand.
template <typename Stored>
struct Rows {
  Operand<Stored> operand;
  int64_t size, heads;

  Rows(const Place& place, int64_t row_size, int64_t row_heads) : operand(place), size(row_size), heads(row_heads) {}
  explicit operator bool() const { return operand.data; }
  Stored* at(int64_t b, int64_t t, int64_t h) const { return operand.row(b, t) + (heads == 1 ? 0 : h * size); }
};

template <typename Stored, typename Number>
void read_row(const Stored* row, int64_t count, Number* to) {
STATEWISE_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) to[i] = load(row[i]);
}

template <typename Stored, typename Number>
void write_row(const Number* from, int64_t count, Stored* row) {
STATEWISE_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) store(row[i], from[i]);
}

template <typename Number>
void copy_numbers(const Number* from, int64_t count, Number* to) {
STATEWISE_INDEPENDENT
  for (int64_t i = 0; i < count; ++i) to[i] = from[i];
}

// The inputs of one token and head, in the computed type.
template <typename Stored>
class Token {
 public:
  using Number = computed<Stored>;

  Token(const Place* place, const Sizes& sizes)
      : sizes_(sizes),
        rows_{{place[0], sizes.keys, sizes.key_heads}, {place[1], sizes.keys, sizes.key_heads},
              {place[2], sizes.values, sizes.heads}, {place[3], sizes.keys, sizes.key_heads},
              {place[4], sizes.keys, sizes.key_heads}},
        decays_(place[5], sizes.decay_channels, sizes.heads) {}

  bool removes() const { return bool(rows_[3]); }
  bool fades() const { return bool(decays_); }
  int64_t scratch() const { return 5 * sizes_.keys + sizes_.values; }

  struct Values {
    Number *query, *key, *recall, *remove, *decay, *value;
  };

  Values read(int64_t b, int64_t t, int64_t h, Number* scratch) const {
    const int64_t keys = sizes_.keys;
    const Values token = {scratch,            scratch + keys,     scratch + 2 * keys,
                          scratch + 3 * keys, scratch + 4 * keys, scratch + 5 * keys};
    read_row(rows_[0].at(b, t, h), keys, token.query);
    read_row(rows_[1].at(b, t, h), keys, token.key);
    read_row(rows_[2].at(b, t, h), sizes_.values, token.value);
    if (removes()) {
      read_row(rows_[3].at(b, t, h), keys, token.recall);
      read_row(rows_[4].at(b, t, h), keys, token.remove);
    }
    if (fades()) {
      const Number* decay = decays_.at(b, t, h);
      for (int64_t k = 0; k < keys; ++k) token.decay[k] = decay[sizes_.decay_channels == 1 ? 0 : k];
    } else {
      for (int64_t k = 0; k < keys; ++k) token.decay[k] = Number{1};
    }
    return token;
  }

 private:
  const Sizes& sizes_;
  Rows<const Stored> rows_[5];
  Rows<const Number> decays_;
};

// to[v] = Σ_k weight[k] · matrix[k][v]
template <typename Number>
void weigh_rows(const Number* weight, const Number* matrix, int64_t keys, int64_t values, Number* to) {
  clear_numbers(to, values);
  for (int64_t k = 0; k < keys; ++k) {
    const Number w = weight[k];
    const Number* row = matrix + k * values;
STATEWISE_INDEPENDENT
    for (int64_t v = 0; v < values; ++v) to[v] = mul_add(w, row[v], to[v]);
  }
}

// after = diag(d) before - r uᵀ + k vᵀ; `after` may be `before`.
template <bool kRemoves, typename Number, typename Values>
void advance(const Values& token, const Number* recalled, int64_t keys, int64_t values, const Number* before,
             Number* after) {
  for (int64_t k = 0; k < keys; ++k) {
    const Number decay = token.decay[k], key = token.key[k], remove = kRemoves ? -token.remove[k] : Number{0};
    const Number* from = before + k * values;
    Number* to = after + k * values;
STATEWISE_INDEPENDENT
    for (int64_t v = 0; v < values; ++v) {
      Number next = mul_add(key, token.value[v], decay * from[v]);
      if constexpr (kRemoves) next = mul_add(remove, recalled[v], next);
      to[v] = next;
    }
  }
}

template <bool kRemoves, typename Stored>
void forward_head(const Problem& problem, const Sizes& sizes, int64_t b, int64_t h) {
  using Number = computed<Stored>;
  const Token<Stored> tokens(problem.places, sizes);
  const Place* place = problem.places + 6;
  const Operand<const Number> initial(place[0]);
  const Operand<const std::uint8_t> reset(place[1]);
  const Rows<Stored> outputs(place[2], sizes.values, sizes.heads);
  const Operand<Number> final(place[3]);
  Number* kept = static_cast<Number*>(place[4].data);

  const int64_t keys = sizes.keys, values = sizes.values;
  Numbers<Number> state(sizes.state()), scratch(tokens.scratch()), recalled(values), output(values);
  Number* s = state.at(0);
  copy_numbers(initial.row(b, 0) + h * sizes.state(), sizes.state(), s);
  for (int64_t t = 0; t < sizes.time; ++t) {
    if (t % kKept == 0) copy_numbers(s, sizes.state(), kept + sizes.kept_of(b, t / kKept, h));
    if (reset.data && *reset.row(b, t)) clear_numbers(s, sizes.state());
    const auto token = tokens.read(b, t, h, scratch.at(0));
    if constexpr (kRemoves) weigh_rows(token.recall, s, keys, values, recalled.at(0));
    advance<kRemoves>(token, recalled.at(0), keys, values, s, s);
    weigh_rows(token.query, s, keys, values, output.at(0));
    write_row(output.at(0), values, outputs.at(b, t, h));
  }
  copy_numbers(s, sizes.state(), final.row(b, 0) + h * sizes.state());
}

// Where the gradients of one token and head go.
template <typename Stored>
struct Gradients {
  using Number = computed<Stored>;

  Gradients(const Place* place, const Sizes& sizes)
      : query(place[0], sizes.keys, sizes.heads), key(place[1], sizes.keys, sizes.heads),
        value(place[2], sizes.values, sizes.heads), recall(place[3], sizes.keys, sizes.heads),
        remove(place[4], sizes.keys, sizes.heads), decay(place[5], sizes.keys, sizes.heads) {}

  Rows<Stored> query, key, value, recall, remove;
  Rows<Number> decay;
};

template <bool kRemoves, typename Stored>
void backward_head(const Problem& problem, const Sizes& sizes, int64_t b, int64_t h) {
  using Number = computed<Stored>;
  const Token<Stored> tokens(problem.places, sizes);
  const Place* place = problem.places + 6;
  const Operand<const std::uint8_t> reset(place[0]);
  const Number* kept = static_cast<const Number*>(place[1].data);
  const Rows<const Stored> grad_outputs(place[2], sizes.values, sizes.heads);
  const Operand<const Number> grad_final(place[3]);
  const Gradients<Stored> grads(place + 4, sizes);
  const Operand<Number> grad_initial(place[10]);

  const int64_t keys = sizes.keys, values = sizes.values, size = sizes.state();
  Numbers<Number> states((kKept + 1) * size), recalls(kKept * values), none(size), carried(size);
  Numbers<Number> scratch(tokens.scratch()), row(5 * keys), on_output(values), on_value(values), on_recalled(values);
  Number* g = carried.at(0);
  clear_numbers(none.at(0), size);
  copy_numbers(grad_final.row(b, 0) + h * size, size, g);

  const auto starts = [&](int64_t t) { return reset.data && *reset.row(b, t); };
  for (int64_t first = (sizes.time - 1) / kKept * kKept; first >= 0; first -= kKept) {
    const int64_t last = smaller(first + kKept, sizes.time);
    const auto before = [&](int64_t t) { return starts(t) ? none.at(0) : states.at((t - first) * size); };
    copy_numbers(kept + sizes.kept_of(b, first / kKept, h), size, states.at(0));
    for (int64_t t = first; t < last; ++t) {
      const auto token = tokens.read(b, t, h, scratch.at(0));
      Number* recalled = recalls.at((t - first) * values);
      if constexpr (kRemoves) weigh_rows(token.recall, before(t), keys, values, recalled);
      advance<kRemoves>(token, recalled, keys, values, before(t), states.at((t + 1 - first) * size));
    }
    for (int64_t t = last - 1; t >= first; --t) {
      const auto token = tokens.read(b, t, h, scratch.at(0));
      const Number *recalled = recalls.at((t - first) * values), *then = before(t);
      const Number* next = states.at((t + 1 - first) * size);
      Number *incoming = on_output.at(0), *on_v = on_value.at(0), *on_u = on_recalled.at(0);
      read_row(grad_outputs.at(b, t, h), values, incoming);
      clear_numbers(on_v, values);
      clear_numbers(on_u, values);
      Number *on_query = row.at(0), *on_key = row.at(keys), *on_decay = row.at(2 * keys), *on_remove = row.at(3 * keys),
             *on_recall = row.at(4 * keys);
      for (int64_t k = 0; k < keys; ++k) {
        Number q{0}, w{0}, d{0}, r{0};
        const Number query = token.query[k], key = token.key[k], remove = kRemoves ? -token.remove[k] : Number{0};
        Number* grad = g + k * values;
        const Number *after = next + k * values, *held = then + k * values;
        STATEWISE_SIMD(reduction(+ : q, w, d, r))
        for (int64_t v = 0; v < values; ++v) {
          const Number now = mul_add(query, incoming[v], grad[v]);
          grad[v] = now;
          q = mul_add(after[v], incoming[v], q);
          w = mul_add(now, token.value[v], w);
          d = mul_add(now, held[v], d);
          on_v[v] = mul_add(now, key, on_v[v]);
          if constexpr (kRemoves) {
            r = mul_add(now, recalled[v], r);
            on_u[v] = mul_add(now, remove, on_u[v]);
          }
        }
        on_query[k] = q;
        on_key[k] = w;
        on_decay[k] = d;
        on_remove[k] = -r;
      }
      for (int64_t k = 0; k < keys; ++k) {
        Number c{0};
        const Number decay = token.decay[k], recall = kRemoves ? token.recall[k] : Number{0};
        Number* grad = g + k * values;
        const Number* held = then + k * values;
        STATEWISE_SIMD(reduction(+ : c))
        for (int64_t v = 0; v < values; ++v) {
          grad[v] = decay * grad[v];
          if constexpr (kRemoves) {
            grad[v] = mul_add(recall, on_u[v], grad[v]);
            c = mul_add(held[v], on_u[v], c);
          }
        }
        on_recall[k] = c;
      }
      if (starts(t)) clear_numbers(g, size);
      write_row(on_query, keys, grads.query.at(b, t, h));
      write_row(on_key, keys, grads.key.at(b, t, h));
      write_row(on_v, values, grads.value.at(b, t, h));
      if (grads.decay) write_row(on_decay, keys, grads.decay.at(b, t, h));
      if constexpr (kRemoves) {
        write_row(on_recall, keys, grads.recall.at(b, t, h));
        write_row(on_remove, keys, grads.remove.at(b, t, h));
      }
    }
  }
  copy_numbers(g, size, grad_initial.row(b, 0) + h * size);
}

template <bool kForward, typename Stored>
void run(const Problem& problem) {
  const Sizes sizes(problem);
  const bool removes = problem.places[3].data;
  in_parallel(sizes.batch * sizes.heads, problem.threads, sizes.time * sizes.state() * sizes.heads >= kWorthThreads,
              [&](int64_t task) {
                const int64_t b = task / sizes.heads, h = task % sizes.heads;
                if constexpr (kForward)
                  removes ? forward_head<true, Stored>(problem, sizes, b, h) : forward_head<false, Stored>(problem, sizes, b, h);
                else
                  removes ? backward_head<true, Stored>(problem, sizes, b, h) : backward_head<false, Stored>(problem, sizes, b, h);
              });
}

constexpr int kForward = 11, kBackward = 17;
const Kernel kKernels[] = {
    {"matrix_scan", "float32", kForward, run<true, float>},
    {"matrix_scan", "float64", kForward, run<true, double>},
    {"matrix_scan", "bfloat16", kForward, run<true, BFloat16>},
    {"matrix_scan_backward", "float32", kBackward, run<false, float>},
    {"matrix_scan_backward", "float64", kBackward, run<false, double>},
    {"matrix_scan_backward", "bfloat16", kBackward, run<false, BFloat16>},
};

}  // namespace

const KernelTable matrix_scan_kernels = {kKernels, sizeof kKernels / sizeof *kKernels};

}  // namespace statewise::STATEWISE_INSTRUCTION_SET
