// Scans whose state is a matrix for each head, one token after the other with the matrix in the cache:
//
//   u_t = S_{t-1}ᵀ c_t        S_t = diag(d_t) S_{t-1} - r_t u_tᵀ + k_t v_tᵀ        y_t = S_tᵀ q_t
//
// Forward   places  query, key, value, recall?, remove?, decay?, initial, reset?, outputs, final, kept
// Backward  places  query, key, value, recall?, remove?, decay?, reset?, kept, grad_outputs, grad_final,
//                   grad_query, grad_key, grad_value, grad_recall?, grad_remove?, grad_decay?, grad_initial
//
// shape (B, T, H). Rows are (H, K) or (H, V), a decay's (H,) or (H, K). options: K, V, heads of queries and keys (H, or
// 1 that all share), a decay's channels (0 where there is none, 1, or K), and P. Recall and remove come together or not
// at all. States, decays and kept are in the computed type, all else in the stored one. `kept` (B, ⌈T/P⌉, H, K, V) are
// the states before every P-th token, from which the backward steps through the others again.
//
// Gradients, with G_t that of S_t from all later tokens and p = ∂L/∂u_t = -Gᵀ r_t:
//
//   G_t += q_t ẏ_tᵀ    q̇ = S_t ẏ_t    k̇ = G v_t    v̇ = Gᵀ k_t    ṙ = -G u_t    ċ = S_{t-1} p    ḋ = Σ_v G ⊙ S_{t-1}
//   G_{t-1} = diag(d_t) G_t + c_t pᵀ
//
// Heads never meet, nor do value channels but in the gradients of the rows of K, which are sums over them. So a head's
// value channels are taken in blocks whose states stay in the cache, and where there are few heads the blocks are shared
// out in groups, whose parts of those sums are added up in the end. All this is a function of the shape alone: the
// number of threads changes no bit.

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

// About as many value channels as a block has: four registers of sixteen.
constexpr int64_t kBlock = 64;
// As many tasks as the groups of all heads together should be.
constexpr int64_t kEnoughTasks = 4;
// Rows of K whose gradients are sums over value channels: query, key, decay, remove, recall.
constexpr int64_t kSums = 5;

// Some value channels of a head.
struct Columns {
  int64_t first, count;
};

struct Sizes {
  int64_t batch, time, heads, keys, values, key_heads, decay_channels, period;

  explicit Sizes(const Problem& problem)
      : batch(problem.shape.batch), time(problem.shape.time), heads(problem.shape.channels), keys(problem.options[0]),
        values(problem.options[1]), key_heads(problem.options[2]), decay_channels(problem.options[3]),
        period(problem.options[4]) {}

  int64_t state() const { return keys * values; }
  int64_t width() const {
    const int64_t blocks = values < kBlock ? 1 : (values + kBlock / 2) / kBlock;
    return smaller(values, ceil_div(ceil_div(values, blocks), kNarrowest) * kNarrowest);
  }
  int64_t blocks() const { return values ? ceil_div(values, width()) : 0; }
  int64_t groups() const {
    const int64_t wanted = ceil_div(kEnoughTasks, batch * heads);
    return smaller(blocks(), wanted);
  }
  Columns columns(int64_t block) const { return {block * width(), smaller(width(), values - block * width())}; }
  int64_t kept_of(int64_t b, int64_t piece, int64_t h) const {
    return ((b * ceil_div(time, period) + piece) * heads + h) * state();
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

// Some value channels of a matrix of rows of `values`, from and to the rows of a block.
template <typename Number>
void take_columns(const Number* matrix, const Sizes& sizes, const Columns& columns, Number* block) {
  for (int64_t k = 0; k < sizes.keys; ++k)
    copy_numbers(matrix + k * sizes.values + columns.first, columns.count, block + k * columns.count);
}
template <typename Number>
void put_columns(const Number* block, const Sizes& sizes, const Columns& columns, Number* matrix) {
  for (int64_t k = 0; k < sizes.keys; ++k)
    copy_numbers(block + k * columns.count, columns.count, matrix + k * sizes.values + columns.first);
}

// The inputs of one token, head and block, in the computed type.
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
  int64_t scratch() const { return 5 * sizes_.keys + sizes_.width(); }

  struct Values {
    Number *query, *key, *recall, *remove, *decay, *value;
  };

  Values read(int64_t b, int64_t t, int64_t h, const Columns& columns, Number* scratch) const {
    const int64_t keys = sizes_.keys;
    const Values token = {scratch,            scratch + keys,     scratch + 2 * keys,
                          scratch + 3 * keys, scratch + 4 * keys, scratch + 5 * keys};
    read_row(rows_[0].at(b, t, h), keys, token.query);
    read_row(rows_[1].at(b, t, h), keys, token.key);
    read_row(rows_[2].at(b, t, h) + columns.first, columns.count, token.value);
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
void forward_block(const Problem& problem, const Sizes& sizes, int64_t b, int64_t h, const Columns& columns) {
  using Number = computed<Stored>;
  const Token<Stored> tokens(problem.places, sizes);
  const Place* place = problem.places + 6;
  const Operand<const Number> initial(place[0]);
  const Operand<const std::uint8_t> reset(place[1]);
  const Rows<Stored> outputs(place[2], sizes.values, sizes.heads);
  const Operand<Number> final(place[3]);
  Number* kept = static_cast<Number*>(place[4].data);

  const int64_t keys = sizes.keys, values = columns.count;
  Numbers<Number> state(keys * values), scratch(tokens.scratch()), recalled(values), output(values);
  Number* s = state.at(0);
  take_columns(initial.row(b, 0) + h * sizes.state(), sizes, columns, s);
  for (int64_t t = 0; t < sizes.time; ++t) {
    if (t % sizes.period == 0) put_columns(s, sizes, columns, kept + sizes.kept_of(b, t / sizes.period, h));
    if (reset.data && *reset.row(b, t)) clear_numbers(s, keys * values);
    const auto token = tokens.read(b, t, h, columns, scratch.at(0));
    if constexpr (kRemoves) weigh_rows(token.recall, s, keys, values, recalled.at(0));
    advance<kRemoves>(token, recalled.at(0), keys, values, s, s);
    weigh_rows(token.query, s, keys, values, output.at(0));
    write_row(output.at(0), values, outputs.at(b, t, h) + columns.first);
  }
  put_columns(s, sizes, columns, final.row(b, 0) + h * sizes.state());
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

// The gradients of one token from those of its outputs, and `grad` from that of the state after it to that before it.
template <bool kRemoves, typename Number, typename Values>
void retreat(const Values& token, const Number* incoming, const Number* recalled, const Number* before,
             const Number* after, int64_t keys, int64_t values, Number* grad, Number* sums, Number* on_value,
             Number* on_recalled) {
  clear_numbers(on_value, values);
  clear_numbers(on_recalled, values);
  for (int64_t k = 0; k < keys; ++k) {
    Number on_query{0}, on_key{0}, on_decay{0}, on_remove{0};
    const Number query = token.query[k], key = token.key[k], remove = kRemoves ? -token.remove[k] : Number{0};
    Number* g = grad + k * values;
    const Number *then = before + k * values, *now = after + k * values;
    STATEWISE_SIMD(reduction(+ : on_query, on_key, on_decay, on_remove))
    for (int64_t v = 0; v < values; ++v) {
      const Number at = mul_add(query, incoming[v], g[v]);
      g[v] = at;
      on_query = mul_add(now[v], incoming[v], on_query);
      on_key = mul_add(at, token.value[v], on_key);
      on_decay = mul_add(at, then[v], on_decay);
      on_value[v] = mul_add(at, key, on_value[v]);
      if constexpr (kRemoves) {
        on_remove = mul_add(at, recalled[v], on_remove);
        on_recalled[v] = mul_add(at, remove, on_recalled[v]);
      }
    }
    sums[k] = on_query;
    sums[keys + k] = on_key;
    sums[2 * keys + k] = on_decay;
    sums[3 * keys + k] = -on_remove;
  }
  for (int64_t k = 0; k < keys; ++k) {
    Number on_recall{0};
    const Number decay = token.decay[k], recall = kRemoves ? token.recall[k] : Number{0};
    Number* g = grad + k * values;
    const Number* then = before + k * values;
    STATEWISE_SIMD(reduction(+ : on_recall))
    for (int64_t v = 0; v < values; ++v) {
      g[v] = decay * g[v];
      if constexpr (kRemoves) {
        g[v] = mul_add(recall, on_recalled[v], g[v]);
        on_recall = mul_add(then[v], on_recalled[v], on_recall);
      }
    }
    sums[4 * keys + k] = on_recall;
  }
}

// Writes what `sums` has for one token and head.
template <typename Stored, typename Number>
void write_sums(const Gradients<Stored>& grads, const Number* sums, int64_t keys, int64_t b, int64_t t, int64_t h) {
  write_row(sums, keys, grads.query.at(b, t, h));
  write_row(sums + keys, keys, grads.key.at(b, t, h));
  if (grads.decay) write_row(sums + 2 * keys, keys, grads.decay.at(b, t, h));
  if (grads.remove) write_row(sums + 3 * keys, keys, grads.remove.at(b, t, h));
  if (grads.recall) write_row(sums + 4 * keys, keys, grads.recall.at(b, t, h));
}

// `parts` (T, kSums, K) takes the sums, added to what is there unless `fresh`; null where the block is all of the head.
template <bool kRemoves, typename Stored>
void backward_block(const Problem& problem, const Sizes& sizes, int64_t b, int64_t h, const Columns& columns,
                    computed<Stored>* parts, bool fresh) {
  using Number = computed<Stored>;
  const Token<Stored> tokens(problem.places, sizes);
  const Place* place = problem.places + 6;
  const Operand<const std::uint8_t> reset(place[0]);
  const Number* kept = static_cast<const Number*>(place[1].data);
  const Rows<const Stored> grad_outputs(place[2], sizes.values, sizes.heads);
  const Operand<const Number> grad_final(place[3]);
  const Gradients<Stored> grads(place + 4, sizes);
  const Operand<Number> grad_initial(place[10]);

  const int64_t keys = sizes.keys, values = columns.count, size = keys * values, summed = kSums * keys;
  const int64_t period = sizes.period;
  Numbers<Number> states((period + 1) * size), recalls(period * values), none(size), carried(size);
  Numbers<Number> scratch(tokens.scratch()), sums(summed), incoming(values), on_value(values), on_recalled(values);
  Number* g = carried.at(0);
  clear_numbers(none.at(0), size);
  take_columns(grad_final.row(b, 0) + h * sizes.state(), sizes, columns, g);

  const auto starts = [&](int64_t t) { return reset.data && *reset.row(b, t); };
  for (int64_t first = (sizes.time - 1) / period * period; first >= 0; first -= period) {
    const int64_t last = smaller(first + period, sizes.time);
    const auto before = [&](int64_t t) { return starts(t) ? none.at(0) : states.at((t - first) * size); };
    take_columns(kept + sizes.kept_of(b, first / period, h), sizes, columns, states.at(0));
    for (int64_t t = first; t < last; ++t) {
      const auto token = tokens.read(b, t, h, columns, scratch.at(0));
      Number* recalled = recalls.at((t - first) * values);
      if constexpr (kRemoves) weigh_rows(token.recall, before(t), keys, values, recalled);
      advance<kRemoves>(token, recalled, keys, values, before(t), states.at((t + 1 - first) * size));
    }
    for (int64_t t = last - 1; t >= first; --t) {
      const auto token = tokens.read(b, t, h, columns, scratch.at(0));
      read_row(grad_outputs.at(b, t, h) + columns.first, values, incoming.at(0));
      retreat<kRemoves>(token, incoming.at(0), recalls.at((t - first) * values), before(t),
                        states.at((t + 1 - first) * size), keys, values, g, sums.at(0), on_value.at(0), on_recalled.at(0));
      if (starts(t)) clear_numbers(g, size);
      write_row(on_value.at(0), values, grads.value.at(b, t, h) + columns.first);
      if (!parts) {
        write_sums(grads, sums.at(0), keys, b, t, h);
        continue;
      }
      Number* part = parts + t * summed;
      for (int64_t i = 0; i < summed; ++i) part[i] = fresh ? *sums.at(i) : part[i] + *sums.at(i);
    }
  }
  put_columns(g, sizes, columns, grad_initial.row(b, 0) + h * sizes.state());
}

template <bool kRemoves, typename Stored>
void forward(const Problem& problem, const Sizes& sizes, bool worth_threads) {
  const int64_t blocks = sizes.blocks();
  in_parallel(sizes.batch * sizes.heads * blocks, problem.threads, worth_threads, [&](int64_t task) {
    const int64_t head = task / blocks;
    forward_block<kRemoves, Stored>(problem, sizes, head / sizes.heads, head % sizes.heads, sizes.columns(task % blocks));
  });
}

template <bool kRemoves, typename Stored>
void backward(const Problem& problem, const Sizes& sizes, bool worth_threads) {
  using Number = computed<Stored>;
  const int64_t heads = sizes.batch * sizes.heads, blocks = sizes.blocks(), groups = sizes.groups();
  const int64_t summed = kSums * sizes.keys, part = sizes.time * summed;
  Numbers<Number> parts(blocks > 1 ? heads * groups * part : 0);
  in_parallel(heads * groups, problem.threads, worth_threads, [&](int64_t task) {
    const int64_t b = task / groups / sizes.heads, h = task / groups % sizes.heads, group = task % groups;
    const int64_t first = blocks * group / groups, last = blocks * (group + 1) / groups;
    for (int64_t block = first; block < last; ++block)
      backward_block<kRemoves, Stored>(problem, sizes, b, h, sizes.columns(block),
                                       blocks > 1 ? parts.at(task * part) : nullptr, block == first);
  });
  if (blocks == 1) return;
  const Gradients<Stored> grads(problem.places + 10, sizes);
  in_parallel(heads * sizes.time, problem.threads, worth_threads, [&](int64_t row) {
    const int64_t head = row / sizes.time, t = row % sizes.time;
    Number* sums = parts.at(head * groups * part + t * summed);
    for (int64_t group = 1; group < groups; ++group)
      for (int64_t i = 0; i < summed; ++i) sums[i] = sums[i] + sums[group * part + i];
    write_sums(grads, sums, sizes.keys, head / sizes.heads, t, head % sizes.heads);
  });
}

template <bool kForward, typename Stored>
void run(const Problem& problem) {
  const Sizes sizes(problem);
  const bool removes = problem.places[3].data;
  const bool worth_threads = sizes.batch * sizes.heads * sizes.time * sizes.state() >= kWorthThreads;
  if constexpr (kForward)
    removes ? forward<true, Stored>(problem, sizes, worth_threads) : forward<false, Stored>(problem, sizes, worth_threads);
  else
    removes ? backward<true, Stored>(problem, sizes, worth_threads) : backward<false, Stored>(problem, sizes, worth_threads);
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
