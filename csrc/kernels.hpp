// The tables of kernels that one instruction set's files define. No include guard: included once for each set.

#include "problem.hpp"

namespace statewise::STATEWISE_INSTRUCTION_SET {

extern const KernelTable linear_scan_kernels, min_gru_scan_kernels, min_lstm_scan_kernels, softmax_scan_kernels,
    matrix_scan_kernels, selective_scan_kernels, one_token_kernels;

}  // namespace statewise::STATEWISE_INSTRUCTION_SET
