// SPDX-License-Identifier: Apache-2.0
//
// What the programs of this suite say at their end, on stdout. One thread.
#ifndef JETD_CONFORMANCE_HISTORY_REPORT_TEXT_H_
#define JETD_CONFORMANCE_HISTORY_REPORT_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "conformance/history/history_run.h"
#include "conformance/history/violations.h"

namespace jetd::conformance::history {

// Counts, faults, errors, and every violation.
void Print(const HistoryReport& report, uint64_t seed);

// The end of every such report: errors of operations, every violation, and whether there was one.
void PrintVerdict(const std::map<std::string, size_t>& errors, const Violations& violations);

// 0: nothing is wrong, or with `expect` one of these kinds of violations was found; otherwise 1.
[[nodiscard]] int Judge(const Violations& violations, const std::vector<std::string>& expect);

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_REPORT_TEXT_H_
