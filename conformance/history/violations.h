// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_VIOLATIONS_H_
#define JETD_CONFORMANCE_HISTORY_VIOLATIONS_H_

#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace jetd::conformance::history {

// What is wrong, one line each: "<kind>: <what was seen>". The first lines of a kind are kept, all
// are counted. A plain value.
class Violations {
 public:
  static constexpr size_t kMaxLinesPerKind = 8;

  void Add(std::string_view kind, std::string_view what) {
    if (++counts_[std::string(kind)] > kMaxLinesPerKind) return;
    lines_.push_back(std::string(kind) + ": " + std::string(what));
  }
  void Merge(const Violations& other) {
    for (const auto& [kind, count] : other.counts_) counts_[kind] += count;
    lines_.insert(lines_.end(), other.lines_.begin(), other.lines_.end());
  }

  [[nodiscard]] bool empty() const { return counts_.empty(); }
  [[nodiscard]] const std::map<std::string, size_t>& counts() const { return counts_; }
  [[nodiscard]] const std::vector<std::string>& lines() const { return lines_; }

 private:
  std::map<std::string, size_t> counts_;
  std::vector<std::string> lines_;
};

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_VIOLATIONS_H_
