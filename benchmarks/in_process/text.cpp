// SPDX-License-Identifier: BSL-1.0
// The tables of text_kind.
#include "kinds.hpp"
#include "latency.hpp"
#include "memory.hpp"
#include "throughput.hpp"

namespace bench {

template void throughput_tables<text_kind>(run&);
template void hot_key_table<text_kind>(run&);
template void latency_table<text_kind>(run&);
template void memory_table<text_kind>(run&);

}  // namespace bench
