// SPDX-License-Identifier: BSL-1.0
// The tables of general_kind.
#include "kinds.hpp"
#include "throughput.hpp"

namespace bench {

template void throughput_tables<general_kind>(run&);

}  // namespace bench
