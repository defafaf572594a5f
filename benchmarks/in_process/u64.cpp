// SPDX-License-Identifier: BSL-1.0
// The tables of u64_kind.
#include "kinds.hpp"
#include "latency.hpp"
#include "memory.hpp"
#include "throughput.hpp"

namespace bench {

template void throughput_tables<u64_kind>(run&);
template void latency_table<u64_kind>(run&);
template void memory_table<u64_kind>(run&);

}  // namespace bench
