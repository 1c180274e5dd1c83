// The activation of a minGRU's or minLSTM's candidate: value(u), and slope(u) where the value is known.

#pragma once

#include "exponentials.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

template <typename Number>
struct ValueSlope {
  Number value, slope;
};

// g(u) = u + 1/2 for u ≥ 0, σ(u) below.
struct Positive {
  template <typename Number>
  static STATEWISE_INLINE ValueSlope<Number> at(Number u) {
    const Number below = sigmoids(u).of;
    const bool negative = u < Number{0};
    return {negative ? below : u + Number{0.5}, negative ? below * (Number{1} - below) : Number{1}};
  }
};

struct Tanh {
  template <typename Number>
  static STATEWISE_INLINE ValueSlope<Number> at(Number u) {
    const Number value = tanh(u);
    return {value, (Number{1} - value) * (Number{1} + value)};
  }
};

struct Identity {
  template <typename Number>
  static STATEWISE_INLINE ValueSlope<Number> at(Number u) {
    return {u, Number{1}};
  }
};

}  // namespace
}  // namespace statewise::STATEWISE_INSTRUCTION_SET
