// SPDX-License-Identifier: BSL-1.0
// nanopb configured in a way that its library is not.
// expect 1: kcache: undefine PB_FIELD_32BIT, PB_NO_ERRMSG, PB_BUFFER_ONLY and PB_WITHOUT_64BIT
// expect 2: kcache: undefine PB_FIELD_32BIT, PB_NO_ERRMSG, PB_BUFFER_ONLY and PB_WITHOUT_64BIT
// expect 3: kcache: undefine PB_FIELD_32BIT, PB_NO_ERRMSG, PB_BUFFER_ONLY and PB_WITHOUT_64BIT
// expect 4: kcache: undefine PB_FIELD_32BIT, PB_NO_ERRMSG, PB_BUFFER_ONLY and PB_WITHOUT_64BIT
#if ERROR_CASE == 1
#define PB_FIELD_32BIT 1
#elif ERROR_CASE == 2
#define PB_NO_ERRMSG 1
#elif ERROR_CASE == 3
#define PB_BUFFER_ONLY 1
#elif ERROR_CASE == 4
#define PB_WITHOUT_64BIT 1
#endif
#include <kcache/nanopb/codec.hpp>

static_assert(kcache::codec<kcache::nanopb_codec>);

int main() {}
