// The Python module statewise._kernels: which instruction sets there are, and one call for every kernel.
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
#include <malloc.h>
#include <sys/mman.h>
#include <unistd.h>
#endif

#define STATEWISE_INSTRUCTION_SET portable
#include "kernels.hpp"
#ifdef STATEWISE_X86
#undef STATEWISE_INSTRUCTION_SET
#define STATEWISE_INSTRUCTION_SET avx2
#include "kernels.hpp"
#undef STATEWISE_INSTRUCTION_SET
#define STATEWISE_INSTRUCTION_SET avx512
#include "kernels.hpp"
#endif

namespace nb = nanobind;
using namespace nb::literals;

namespace statewise {
namespace {

struct InstructionSet {
  std::string name;
  std::vector<KernelTable> tables;
};

#define STATEWISE_TABLES(set) \
  {set::linear_scan_kernels, set::min_gru_scan_kernels, set::min_lstm_scan_kernels, set::softmax_scan_kernels, \
   set::matrix_scan_kernels, set::selective_scan_kernels, set::one_token_kernels}

// Those that this machine runs, the fastest last.
const std::vector<InstructionSet>& instruction_sets() {
  static const std::vector<InstructionSet> sets = [] {
    std::vector<InstructionSet> found = {{"portable", STATEWISE_TABLES(portable)}};
#ifdef STATEWISE_X86
    const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (has_avx2) found.push_back({"avx2", STATEWISE_TABLES(avx2)});
    if (has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw"))
      found.push_back({"avx512", STATEWISE_TABLES(avx512)});
#endif
    return found;
  }();
  return sets;
}

const Kernel& kernel(const std::string& instruction_set, const std::string& name, const std::string& dtype) {
  for (const InstructionSet& set : instruction_sets())
    if (set.name == instruction_set)
      for (const KernelTable& table : set.tables)
        for (int index = 0; index < table.count; ++index)
          if (table.kernels[index].name == name && table.kernels[index].dtype == dtype) return table.kernels[index];
  throw std::invalid_argument("there is no kernel " + name + " for " + dtype + " and " + instruction_set +
                              " instructions on this machine");
}

using Sizes = std::tuple<std::int64_t, std::int64_t, std::int64_t>;
using Address = std::tuple<std::uintptr_t, std::int64_t, std::int64_t>;

void run(const std::string& instruction_set, const std::string& name, const std::string& dtype, int threads,
         const Sizes& sizes, const std::vector<std::int64_t>& options, const std::vector<Address>& addresses) {
  const Kernel& found = kernel(instruction_set, name, dtype);
  if (static_cast<int>(addresses.size()) != found.num_places)
    throw std::invalid_argument(name + " takes " + std::to_string(found.num_places) + " tensors, not " +
                                std::to_string(addresses.size()));
  std::vector<Place> places;
  places.reserve(addresses.size());
  for (const auto& [address, batch_stride, time_stride] : addresses)
    places.push_back({reinterpret_cast<void*>(address), batch_stride, time_stride});
  const auto& [batch, time, channels] = sizes;
  const nb::gil_scoped_release released;
  found.run({{batch, time, channels}, places.data(), options.data(), threads});
}

// A large output is mostly fresh from the system, and its page faults, one for 4 KiB, take longer than the scan
// that writes it. Large pages of 2 MiB need 512 times fewer. A hint: where the system declines it, nothing changes.
void prefer_large_pages([[maybe_unused]] std::uintptr_t address, [[maybe_unused]] std::uintptr_t bytes) {
#ifdef __linux__
  const std::uintptr_t page = sysconf(_SC_PAGESIZE);
  const std::uintptr_t first = (address + page - 1) / page * page, last = (address + bytes) / page * page;
  if (last > first) madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
#endif
}

// True where the system's allocator listens.
bool keep_freed_memory() {
#ifdef __GLIBC__
  // The largest that glibc takes for the first, and as good as never for the second.
  return mallopt(M_MMAP_THRESHOLD, 1 << 30) && mallopt(M_TRIM_THRESHOLD, 2147483647);
#else
  return false;
#endif
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
  module.def("run", statewise::run, "instruction_set"_a.noconvert(), "name"_a.noconvert(), "dtype"_a.noconvert(),
             "threads"_a.noconvert(), "sizes"_a.noconvert(), "options"_a.noconvert(), "places"_a.noconvert(),
             "Run one kernel on (address, batch stride, time stride) of each tensor.");
  module.def("prefer_large_pages", statewise::prefer_large_pages, "address"_a.noconvert(), "size"_a.noconvert(),
             "Ask the system for large pages in a range of memory.");
  module.def("keep_freed_memory", statewise::keep_freed_memory,
             "Have the allocator keep what is freed instead of giving it back to the system; for the whole process.");
}
