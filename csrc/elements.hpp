// What numbers are stored as, and what they are computed in.
//
//   stored     float   double   BFloat16   Complex<float>   Complex<double>
//   computed   float   double   float      Complex<float>   Complex<double>
//
// Included once per instruction set, so everything is inside that set's namespace: an inline function shared by
// the sets would be kept once by the linker, with instructions that other machines lack.

#pragma once

#include <cstdint>
#include <cstring>

// Before a loop whose turns read nothing that another writes: the rows of different tensors never overlap.
#ifdef __clang__
#define STATEWISE_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define STATEWISE_INDEPENDENT _Pragma("GCC ivdep")
#endif

// What such a loop calls for one channel. A call that is not inlined keeps the loop from being vectorised.
#define STATEWISE_INLINE inline __attribute__((always_inline))

namespace statewise::STATEWISE_INSTRUCTION_SET {
namespace {

struct BFloat16 {
  std::uint16_t bits;
};

template <typename Real>
struct Complex {
  Real re = 0, im = 0;
};

template <typename Real>
STATEWISE_INLINE Complex<Real> operator+(Complex<Real> a, Complex<Real> b) {
  return {a.re + b.re, a.im + b.im};
}

template <typename Real>
STATEWISE_INLINE Complex<Real> operator*(Complex<Real> a, Complex<Real> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

STATEWISE_INLINE float conj(float value) { return value; }
STATEWISE_INLINE double conj(double value) { return value; }
template <typename Real>
STATEWISE_INLINE Complex<Real> conj(Complex<Real> value) {
  return {value.re, -value.im};
}

template <typename To, typename From>
STATEWISE_INLINE To bits_as(From value) {
  static_assert(sizeof(To) == sizeof(From), "the same bits");
  To bits;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}

template <typename Stored>
struct Computed {
  using type = Stored;
};
template <>
struct Computed<BFloat16> {
  using type = float;
};
template <typename Stored>
using computed = typename Computed<Stored>::type;

template <typename Stored>
STATEWISE_INLINE Stored load(Stored value) {
  return value;
}
STATEWISE_INLINE float load(BFloat16 value) { return bits_as<float>(std::uint32_t{value.bits} << 16); }

template <typename Stored>
STATEWISE_INLINE void store(Stored& to, Stored value) {
  to = value;
}
// To the nearest, ties to even: what carries out of the lower half rounds the upper one up. A NaN is kept one: its
// payload may sit in the lower half alone, and adding could carry through the exponent.
STATEWISE_INLINE void store(BFloat16& to, float value) {
  const std::uint32_t bits = bits_as<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
  const std::uint32_t quiet = bits >> 16 | 0x0040u;
  to.bits = static_cast<std::uint16_t>((bits & 0x7fffffffu) > 0x7f800000u ? quiet : rounded);
}

STATEWISE_INLINE bool is_finite(float value) { return (bits_as<std::uint32_t>(value) & 0x7f800000u) != 0x7f800000u; }
STATEWISE_INLINE bool is_finite(double value) {
  return (bits_as<std::uint64_t>(value) & 0x7ff0000000000000u) != 0x7ff0000000000000u;
}
template <typename Real>
STATEWISE_INLINE bool is_finite(Complex<Real> value) {
  return is_finite(value.re) && is_finite(value.im);
}

}  // namespace
}  // namespace statewise::STATEWISE_INSTRUCTION_SET
