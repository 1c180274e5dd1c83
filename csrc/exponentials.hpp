// e^x and what gates are made of, written so that a loop over channels becomes vector instructions: no branches,
// no tables, no library calls.
//
// Errors in units in the last place (ulp), measured by tests/ops/test_exponentials.py on every instruction set:
// exp_negative, exponential, sigmoid and tanh stay within 3, in float and in double.

#pragma once

#include "elements.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

template <typename Real>
struct Format;

template <>
struct Format<float> {
  using Bits = std::int32_t;
  static constexpr int kMantissa = 23;
  static constexpr Bits kBias = 127;
  // 1.5 · 2^23: adding it leaves the nearest integer in the lowest bits.
  static constexpr float kRounder = 12582912.0f;
  // Below this e^x is less than half the smallest denormal number.
  static constexpr float kLowest = -104.0f;
  // Above this e^x is infinite; the exponent of the last finite one, halved, still is that of a normal number.
  static constexpr float kHighest = 89.0f;
  static constexpr float kLog2E = 1.44269504088896341f;
  // ln 2 in two parts; the first has 9 trailing zero bits, so that its product with any exponent is exact.
  static constexpr float kLn2High = 0.693359375f, kLn2Low = -2.12194440e-4f;
  // The remainder r is at most ln(2)/2; the first Taylor term left out is r^8/8! < 5.2e-9, a tenth of an ulp.
  static constexpr int kTerms = 7;
};

template <>
struct Format<double> {
  using Bits = std::int64_t;
  static constexpr int kMantissa = 52;
  static constexpr Bits kBias = 1023;
  static constexpr double kRounder = 6755399441055744.0;
  static constexpr double kLowest = -746.0;
  static constexpr double kHighest = 710.0;
  static constexpr double kLog2E = 1.44269504088896340736;
  // The first part has 21 trailing zero bits.
  static constexpr double kLn2High = 6.93147180369123816490e-01, kLn2Low = 1.90821492927058770002e-10;
  // r^14/14! < 4.2e-18, a fiftieth of an ulp.
  static constexpr int kTerms = 13;
};

STATEWISE_INLINE float mul_add(float a, float b, float c) {
#ifdef __FMA__
  return __builtin_fmaf(a, b, c);
#else
  return a * b + c;
#endif
}
STATEWISE_INLINE double mul_add(double a, double b, double c) {
#ifdef __FMA__
  return __builtin_fma(a, b, c);
#else
  return a * b + c;
#endif
}

constexpr double factorial(int n) { return n < 2 ? 1.0 : n * factorial(n - 1); }

// (e^r - 1) / r by Horner's rule: 1/1! + r (1/2! + r (1/3! + …)).
template <typename Real, int kTerm = 1>
STATEWISE_INLINE Real taylor(Real r) {
  constexpr Real coefficient = static_cast<Real>(1.0 / factorial(kTerm));
  if constexpr (kTerm == Format<Real>::kTerms) return coefficient;
  else return mul_add(taylor<Real, kTerm + 1>(r), r, coefficient);
}

// 2^n for -126 ≤ n ≤ 127 (double: -1022 … 1023).
template <typename Real>
STATEWISE_INLINE Real power_of_two(typename Format<Real>::Bits n) {
  return bits_as<Real>((n + Format<Real>::kBias) << Format<Real>::kMantissa);
}

// x = n ln 2 + r with |r| ≤ ln(2)/2.
template <typename Real>
struct Reduced {
  typename Format<Real>::Bits n;
  Real r;
};

template <typename Real>
STATEWISE_INLINE Reduced<Real> reduce(Real x) {
  using F = Format<Real>;
  using Bits = typename F::Bits;
  const Real shifted = mul_add(x, F::kLog2E, F::kRounder);
  const Real n = shifted - F::kRounder;
  const Real r = mul_add(n, -F::kLn2Low, mul_add(n, -F::kLn2High, x));
  return {bits_as<Bits>(shifted) - bits_as<Bits>(F::kRounder), r};
}

// e^x for kLowest ≤ x ≤ kHighest.
template <typename Real>
STATEWISE_INLINE Real exp_between(Real x) {
  const Reduced<Real> reduced = reduce(x);
  const Real scaled = mul_add(taylor(reduced.r), reduced.r, Real{1});
  // In two steps, because 2^n alone may be beyond the normal numbers.
  const typename Format<Real>::Bits half = reduced.n >> 1;
  return scaled * power_of_two<Real>(half) * power_of_two<Real>(reduced.n - half);
}

// e^x for x ≤ 0, down to the smallest denormal number and 0. A NaN stays one.
template <typename Real>
STATEWISE_INLINE Real exp_negative(Real x) {
  using F = Format<Real>;
  // The comparison is false for a NaN, which then goes on.
  const Real clamped = x < F::kLowest ? F::kLowest : x;
  return exp_between(clamped);
}

// e^x, up to the largest number and infinity.
template <typename Real>
STATEWISE_INLINE Real exponential(Real x) {
  using F = Format<Real>;
  return exp_negative(F::kHighest < x ? F::kHighest : x);
}

// e^x - 1 for x ≤ 0, without the cancellation near 0.
template <typename Real>
STATEWISE_INLINE Real expm1_negative(Real x) {
  // e^-40 is less than half an ulp of 1, in double too.
  const Real clamped = x < Real{-40} ? Real{-40} : x;
  const Reduced<Real> reduced = reduce(clamped);
  const Real power = power_of_two<Real>(reduced.n);
  return mul_add(power, taylor(reduced.r) * reduced.r, power - Real{1});
}

template <typename Real>
STATEWISE_INLINE Real magnitude(Real x) {
  return x < Real{0} ? -x : x;
}

// σ(x) and σ(-x), both exact to the last places where they are tiny.
template <typename Real>
struct Sigmoids {
  Real of, of_negated;
};

template <typename Real>
STATEWISE_INLINE Sigmoids<Real> sigmoids(Real x) {
  const Real e = exp_negative(-magnitude(x));
  const Real large = Real{1} / (Real{1} + e);
  const Real small = e * large;
  const bool negative = x < Real{0};
  return {negative ? small : large, negative ? large : small};
}

template <typename Real>
STATEWISE_INLINE Real tanh(Real x) {
  const Real m = expm1_negative(Real{-2} * magnitude(x));
  const Real positive = -m / (Real{2} + m);
  return x < Real{0} ? -positive : positive;
}

}  // namespace
}  // namespace statewise::STATEWISE_INSTRUCTION_SET
