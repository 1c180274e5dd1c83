// The skeleton of every scan: who works on what, and in which order. A recurrence plugs in what one step does.
//
// Work is cut into blocks, a batch row times some channels, which threads share. Where there are few channels and
// many steps, time is cut into segments too, and scanned twice:
//
//   1. every segment by itself, keeping only what it does to a state that enters it (its summary)
//   2. a pass over the summaries gives the state that enters each segment
//   3. every segment again, from that state, writing
//
// Blocks never meet, and the number of segments is a function of the shape alone, so the number of threads
// changes no bit of the result.
//
// A recurrence is a class with
//
//   kBackwards                               time runs from the last step to the first
//   granularity()                            channels that must stay in one block
//   scratch()                                numbers that a state needs for one channel
//   begin(span, state)                       the state before the first step
//   emit(span, time, state)                  one step, written out
//   clear(span, summary)                     the summary of no steps
//   absorb(span, time, summary)              one step more in a summary
//   enter(span, summary, state) -> bool      the state after a summary; false where only the steps themselves tell
//   step(span, time, state)                  one step, not written
//   end(span, state)                         write the state after the last step
//
// with `state` and `summary` arrays of scratch() numbers for each channel of the span.

#pragma once

#include <cstdlib>

#include "elements.hpp"
#include "problem.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

using std::int64_t;

// Sixteen channels fill a cache line in single precision; 1024 are a page, and their states stay in the
// first-level cache. Wide is fast: rows taken whole follow each other in memory, and the prefetcher too.
constexpr int64_t kNarrowest = 16;
constexpr int64_t kWidest = 1024;
// Below this many elements waking threads costs more than the scan.
constexpr int64_t kWorthThreads = 32768;
// A sequence is cut in time where all channels together are no more than this, …
constexpr int64_t kNarrow = 64;
// … into pieces of at least this many steps, …
constexpr int64_t kShortestSegment = 1024;
// … and no more of them than this.
constexpr int64_t kMostSegments = 16;

inline int64_t ceil_div(int64_t count, int64_t size) { return (count + size - 1) / size; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// Some channels of one sequence.
struct Span {
  int64_t batch, first, count;
  int64_t ahead = 0;  // steps ahead of which it asks for its rows; 0 where it leaves that to the hardware
};

// The hardware foresees a row that follows the last one in memory, but stops at the end of each page of 4 KiB: wide
// rows are asked for so many numbers ahead (512 to 4096 are alike, and up to twice as fast as none).
// Narrow rows share their cache lines and their pages, and would pay more than they gain.
constexpr int64_t kNumbersAhead = 1024, kNarrowRow = 64;

inline int64_t steps_ahead(int64_t count, int64_t channels) {
  if (count == channels && count < kNarrowRow) return 0;
  return count < kNumbersAhead ? kNumbersAhead / count : 1;
}

template <typename Element>
struct Operand {
  Element* data;
  int64_t batch_stride, time_stride;

  Operand() = default;
  explicit Operand(const Place& place)
      : data(static_cast<Element*>(place.data)), batch_stride(place.batch_stride), time_stride(place.time_stride) {}

  Element* row(int64_t batch, int64_t time) const { return data + batch * batch_stride + time * time_stride; }
  Element* row(const Span& span, int64_t time) const { return row(span.batch, time) + span.first; }
};

inline int64_t count_segments(const Shape& shape) {
  if (shape.batch * shape.channels > kNarrow) return 1;
  const int64_t pieces = shape.time / kShortestSegment;
  return pieces < 2 ? 1 : smaller(pieces, kMostSegments);
}

// Halved only while some thread would have no block.
inline int64_t block_width(const Shape& shape, int64_t granularity, int threads) {
  int64_t width = ceil_div(kWidest, granularity) * granularity;
  while (width / 2 >= kNarrowest && width / 2 % granularity == 0 &&
         shape.batch * ceil_div(shape.channels, width) < threads)
    width /= 2;
  return width;
}

// Of a cache line, and of the widest vector: one that straddles two lines is read and written twice.
constexpr int64_t kLine = 64;

template <typename Number>
class Numbers {
 public:
  explicit Numbers(int64_t count)
      : data_(static_cast<Number*>(std::aligned_alloc(kLine, (count * sizeof(Number) / kLine + 1) * kLine))) {
    if (!data_) std::abort();
  }
  ~Numbers() { std::free(data_); }
  Numbers(const Numbers&) = delete;
  Numbers& operator=(const Numbers&) = delete;
  Number* at(int64_t index) { return data_ + index; }

 private:
  Number* data_;
};

// Calls work(task) for every task below `count`.
template <typename Work>
void in_parallel(int64_t count, int threads, [[maybe_unused]] bool worth_threads, const Work& work) {
#ifdef _OPENMP
#pragma omp parallel for num_threads(threads) schedule(static) if (worth_threads)
#endif
  for (int64_t task = 0; task < count; ++task) work(task);
}

template <typename Recurrence>
class Scan {
 public:
  using Number = typename Recurrence::Number;

  Scan(const Recurrence& recurrence, const Problem& problem)
      : recurrence_(recurrence),
        shape_(problem.shape),
        threads_(problem.threads),
        width_(block_width(shape_, recurrence.granularity(), threads_)),
        blocks_(shape_.batch * ceil_div(shape_.channels, width_)),
        segments_(count_segments(shape_)),
        worth_threads_(shape_.batch * shape_.time * shape_.channels >= kWorthThreads) {}

  void run() const { segments_ == 1 ? run_whole() : run_segments(); }

 private:
  void run_whole() const {
    in_parallel(blocks_, threads_, worth_threads_, [this](int64_t block) {
      const Span span = span_of(block);
      Numbers<Number> state(recurrence_.scratch() * span.count);
      recurrence_.begin(span, state.at(0));
      for (int64_t step = 0; step < shape_.time; ++step) recurrence_.emit(span, time_of(step), state.at(0));
      recurrence_.end(span, state.at(0));
    });
  }

  void run_segments() const {
    const int64_t size = recurrence_.scratch() * smaller(width_, shape_.channels);
    // By block and segment: what a segment does, and the state that enters it.
    Numbers<Number> summaries(blocks_ * segments_ * size), states(blocks_ * segments_ * size);
    in_parallel(blocks_ * (segments_ - 1), threads_, true, [&](int64_t task) {
      const int64_t block = task / (segments_ - 1), segment = task % (segments_ - 1);
      const Span span = span_of(block);
      Number* summary = summaries.at((block * segments_ + segment) * size);
      recurrence_.clear(span, summary);
      for (int64_t step = begin_of(segment); step < begin_of(segment + 1); ++step)
        recurrence_.absorb(span, time_of(step), summary);
    });
    for (int64_t block = 0; block < blocks_; ++block) {
      const Span span = span_of(block);
      recurrence_.begin(span, states.at(block * segments_ * size));
      for (int64_t segment = 0; segment + 1 < segments_; ++segment) {
        Number* before = states.at((block * segments_ + segment) * size);
        Number* after = before + size;
        for (int64_t index = 0; index < recurrence_.scratch() * span.count; ++index) after[index] = before[index];
        if (recurrence_.enter(span, summaries.at((block * segments_ + segment) * size), after)) continue;
        for (int64_t index = 0; index < recurrence_.scratch() * span.count; ++index) after[index] = before[index];
        for (int64_t step = begin_of(segment); step < begin_of(segment + 1); ++step)
          recurrence_.step(span, time_of(step), after);
      }
    }
    in_parallel(blocks_ * segments_, threads_, true, [&](int64_t task) {
      const Span span = span_of(task / segments_);
      const int64_t segment = task % segments_;
      Number* state = states.at(task * size);
      for (int64_t step = begin_of(segment); step < begin_of(segment + 1); ++step)
        recurrence_.emit(span, time_of(step), state);
      if (segment + 1 == segments_) recurrence_.end(span, state);
    });
  }

  Span span_of(int64_t block) const {
    const int64_t per_row = ceil_div(shape_.channels, width_);
    const int64_t first = block % per_row * width_;
    const int64_t count = smaller(width_, shape_.channels - first);
    return {block / per_row, first, count, steps_ahead(count, shape_.channels)};
  }

  int64_t time_of(int64_t step) const { return Recurrence::kBackwards ? shape_.time - 1 - step : step; }

  int64_t begin_of(int64_t segment) const { return shape_.time * segment / segments_; }

  const Recurrence& recurrence_;
  Shape shape_;
  int threads_;
  int64_t width_, blocks_, segments_;
  bool worth_threads_;
};

template <typename Recurrence>
void scan(const Recurrence& recurrence, const Problem& problem) {
  Scan<Recurrence>(recurrence, problem).run();
}

}  // namespace
}  // namespace statewise::STATEWISE_INSTRUCTION_SET
