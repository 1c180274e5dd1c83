// What a kernel is given. Plain data only: an inline function here would be compiled once per instruction set
// under one name, and the linker would keep any of them for all.

#pragma once

#include <cstdint>

namespace statewise {

struct Shape {
  std::int64_t batch, time, channels;
};

// Rows of channels, contiguous along the channels. Strides count elements; no data means absent.
struct Place {
  void* data;
  std::int64_t batch_stride, time_stride;
};

// places   what each kernel reads and writes, in the order that its file documents
// options  what else the kernel's file asks for
// threads  to use at most
struct Problem {
  Shape shape;
  const Place* places;
  const std::int64_t* options;
  int threads;
};

struct Kernel {
  const char* name;
  const char* dtype;
  int num_places;
  void (*run)(const Problem&);
};

struct KernelTable {
  const Kernel* kernels;
  int count;
};

}  // namespace statewise
