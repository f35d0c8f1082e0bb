// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MEMBERS_EVENT_CHECK_H_
#define JETD_CONFORMANCE_MEMBERS_EVENT_CHECK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "conformance/crash/op_log.h"
#include "conformance/history/violations.h"

namespace jetd::conformance {

// Holds what one watcher saw, from revision `first` to `last`, against what another one did, where
// every revision of the store was one event: none is missed, none comes twice, both saw the same.
// Pure.
void CheckEvents(const std::string& watcher, int64_t first, int64_t last,
                 const std::vector<HistoryEvent>& seen, const std::vector<HistoryEvent>& other,
                 history::Violations& violations);

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MEMBERS_EVENT_CHECK_H_
