// The Python module statewise._kernels: which instruction sets there are, and the kernels by set and dtype.
//
// Tensors arrive as (address, batch stride, time stride), address 0 where absent: building array objects
// would cost more than a short scan. The callers in statewise.ops check dtype, device, shape and strides.

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "linear_scan.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace statewise {

namespace portable {
extern const LinearScanKernels linear_scan;
}
namespace avx2 {
extern const LinearScanKernels linear_scan;
}
namespace avx512 {
extern const LinearScanKernels linear_scan;
}

namespace {

struct InstructionSet {
  std::string name;
  const LinearScanKernels* linear_scan;
};

// Those that this machine runs, the fastest last.
const std::vector<InstructionSet>& instruction_sets() {
  static const std::vector<InstructionSet> sets = [] {
    std::vector<InstructionSet> found = {{"portable", &portable::linear_scan}};
#ifdef STATEWISE_X86
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (has_avx2) found.push_back({"avx2", &avx2::linear_scan});
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
      found.push_back({"avx512", &avx512::linear_scan});
#endif
    return found;
  }();
  return sets;
}

const LinearScanKernels& linear_scan_for(const std::string& name) {
  for (const InstructionSet& set : instruction_sets())
    if (set.name == name) return *set.linear_scan;
  throw std::invalid_argument("this machine does not run the instruction set " + name);
}

using Sizes = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
using Place = std::tuple<std::uintptr_t, std::int64_t, std::int64_t>;

Shape shape_of(const Sizes& sizes) { return {std::get<0>(sizes), std::get<1>(sizes), std::get<2>(sizes)}; }

template <typename Element>
Operand<Element> at(const Place& place) {
  return {reinterpret_cast<Element*>(std::get<0>(place)), std::get<1>(place), std::get<2>(place)};
}

// A large output is mostly fresh from the system, and its page faults, one for 4 KiB, take longer than the scan
// that writes it. Large pages of 2 MiB need 512 times fewer; twice their size surely holds a whole one.
// A hint: where the system declines it, nothing changes.
constexpr std::uintptr_t kWorthLargePages = std::uintptr_t{4} << 20;

template <typename Real>
void prefer_large_pages([[maybe_unused]] const Operand<Real>& output, [[maybe_unused]] const Shape& shape) {
#ifdef __linux__
  const std::uintptr_t bytes = sizeof(Real) * shape.batch * shape.time * shape.channels;
  if (bytes < kWorthLargePages) return;
  const std::uintptr_t page = sysconf(_SC_PAGESIZE);
  const std::uintptr_t address = reinterpret_cast<std::uintptr_t>(output.data);
  const std::uintptr_t first = (address + page - 1) / page * page, last = (address + bytes) / page * page;
  madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

template <typename Real>
void linear_scan(const std::string& instruction_set, int threads, const Sizes& shape, const Place& decay,
                 const Place& drive, const Place& initial, const Place& reset, const Place& states,
                 const Place& final) {
  const LinearScanKernels& kernels = linear_scan_for(instruction_set);
  const LinearScan<Real> scan = {shape_of(shape),       at<const Real>(decay),
                                 at<const Real>(drive), at<const Real>(initial),
                                 at<const std::uint8_t>(reset), at<Real>(states), at<Real>(final)};
  prefer_large_pages(scan.states, scan.shape);
  if constexpr (sizeof(Real) == sizeof(float)) kernels.forward_float(scan, threads);
  else kernels.forward_double(scan, threads);
}

template <typename Real>
void linear_scan_backward(const std::string& instruction_set, int threads, const Sizes& shape, const Place& decay,
                          const Place& states, const Place& initial, const Place& reset, const Place& grad_states,
                          const Place& grad_final, const Place& grad_decay, const Place& grad_drive,
                          const Place& grad_initial) {
  const LinearScanKernels& kernels = linear_scan_for(instruction_set);
  const LinearScanBackward<Real> scan = {shape_of(shape),
                                         at<const Real>(decay),
                                         at<const Real>(states),
                                         at<const Real>(initial),
                                         at<const std::uint8_t>(reset),
                                         at<const Real>(grad_states),
                                         at<const Real>(grad_final),
                                         at<Real>(grad_decay),
                                         at<Real>(grad_drive),
                                         at<Real>(grad_initial)};
  prefer_large_pages(scan.grad_decay, scan.shape);
  prefer_large_pages(scan.grad_drive, scan.shape);
  if constexpr (sizeof(Real) == sizeof(float)) kernels.backward_float(scan, threads);
  else kernels.backward_double(scan, threads);
}

template <typename Real>
void bind(nb::module_& module, const std::string& dtype) {
  module.def(("linear_scan_" + dtype).c_str(), linear_scan<Real>, "instruction_set"_a.noconvert(),
             "threads"_a.noconvert(), "shape"_a.noconvert(), "decay"_a.noconvert(), "drive"_a.noconvert(),
             "initial"_a.noconvert(), "reset"_a.noconvert(), "states"_a.noconvert(), "final"_a.noconvert(),
             nb::call_guard<nb::gil_scoped_release>());
  module.def(("linear_scan_backward_" + dtype).c_str(), linear_scan_backward<Real>, "instruction_set"_a.noconvert(),
             "threads"_a.noconvert(), "shape"_a.noconvert(), "decay"_a.noconvert(), "states"_a.noconvert(),
             "initial"_a.noconvert(), "reset"_a.noconvert(), "grad_states"_a.noconvert(),
             "grad_final"_a.noconvert(), "grad_decay"_a.noconvert(), "grad_drive"_a.noconvert(),
             "grad_initial"_a.noconvert(), nb::call_guard<nb::gil_scoped_release>());
}

}  // namespace
}  // namespace statewise

NB_MODULE(_kernels, module) {
  module.doc() = "The C++ kernels. Called by statewise.ops, which checks what it passes.";
  module.def(
      "instruction_sets",
      [] {
        std::vector<std::string> names;
        for (const auto& set : statewise::instruction_sets()) names.push_back(set.name);
        return names;
      },
      "The instruction sets that this machine runs, the fastest last.");
  statewise::bind<float>(module, "float32");
  statewise::bind<double>(module, "float64");
}
