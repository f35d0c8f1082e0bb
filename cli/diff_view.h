// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_DIFF_VIEW_H_
#define JETD_CLI_DIFF_VIEW_H_

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "cli/table.h"
#include "replication/state_diff.h"

namespace jetd::cli {

// A difference as it is shown: sorted by what keys stand for. Plain value; the states that it was
// made of outlive it.
class DiffView {
 public:
  enum class Values { kNo, kYes };
  DiffView(const std::vector<replication::StateChange>& changes, Values values);

  // A table; with values each field that changed on a line of its own below.
  [[nodiscard]] Table ToTable() const;
  // `{"changes":[…],"counts":{…}}`, without the braces around it.
  [[nodiscard]] std::string ToJson() const;
  // "2 added, 1 changed, 0 deleted; 1 of them encrypted by Kubernetes, …"
  [[nodiscard]] std::string Summary() const;

 private:
  struct Line {
    std::string kind, space, name;
    const replication::StateChange* change;
  };
  std::vector<Line> lines_;
  std::array<uint64_t, 3> counts_{};
  uint64_t encrypted_ = 0;
  const bool values_;
};

}  // namespace jetd::cli

#endif  // JETD_CLI_DIFF_VIEW_H_
