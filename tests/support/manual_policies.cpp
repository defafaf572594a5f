// SPDX-License-Identifier: BSL-1.0
#include "support/manual_policies.hpp"

TEST_MANUAL_STRINGS(template)
