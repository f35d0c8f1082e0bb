// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/report_text.h"

#include <iostream>

namespace jetd::conformance::history {

void Print(const HistoryReport& report, uint64_t seed) {
  std::cout << "seed " << seed << ": " << report.operations << " operations in " << report.seconds
            << " s: " << report.counts.writes << " writes, " << report.counts.reads << " reads, "
            << report.counts.refused << " refused or unanswered reads, " << report.counts.unknown
            << " of unknown fate (" << report.counts.unknown_landed << " of them happened)\n"
            << report.transactions << " transactions, " << report.stream_transactions
            << " of them read from the stream; " << report.watch_events << " watch events on "
            << report.watch_streams << " streams, " << report.progress_answers
            << " progress answers\n"
            << "the search without revisions looked at " << report.searched << " places, "
            << report.undecided << " histories undecided; " << report.counts.too_old
            << " reads of a past too old to judge\n";
  for (const auto& [fault, count] : report.faults) {
    std::cout << "  fault: " << count << " x " << fault << "\n";
  }
  PrintVerdict(report.errors, report.violations);
}

void PrintVerdict(const std::map<std::string, size_t>& errors, const Violations& violations) {
  for (const auto& [error, count] : errors) {
    std::cout << "  error: " << count << " x " << error << "\n";
  }
  for (const std::string& line : violations.lines()) {
    std::cout << "VIOLATION " << line << "\n";
  }
  for (const auto& [kind, count] : violations.counts()) {
    std::cout << "  violations: " << count << " x " << kind << "\n";
  }
  std::cout << (violations.empty() ? "nothing is wrong" : "something is wrong") << "\n";
}

int Judge(const Violations& violations, const std::vector<std::string>& expect) {
  if (expect.empty()) return violations.empty() ? 0 : 1;
  for (const std::string& kind : expect) {
    if (violations.counts().count(kind) > 0) return 0;
  }
  std::cout << "what was expected was not found\n";
  return 1;
}

}  // namespace jetd::conformance::history
