// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_COVERAGE_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_COVERAGE_H_

#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/differential/step.h"
#include "conformance/differential/watch_log.h"

namespace jetd::conformance::differential {

// Coverage counts what occurred in a run: every call, every option of it, every error text and
// every kind of watch event. What must occur in a long run stands in a list of its own, so that a
// case that has silently become impossible is seen. One thread; runs are merged.
class Coverage {
 public:
  void CountStep(const Step& step, const Answer& answer);
  void CountWatchItem(const WatchItem& item);
  void Count(const std::string& row, int64_t count = 1) { rows_[row] += count; }
  void Merge(const Coverage& other);

  [[nodiscard]] int64_t Of(const std::string& row) const;
  // Rows that must occur and did not.
  [[nodiscard]] std::vector<std::string> Missing() const;
  // All rows with their counts; those that must occur and did not, with 0.
  void Print(std::ostream& out) const;

  [[nodiscard]] static const std::vector<std::string_view>& Expected();

 private:
  void CountMessage(const google::protobuf::Message& message);

  std::map<std::string, int64_t> rows_;
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_COVERAGE_H_
