// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_TABLE_H_
#define JETD_CLI_TABLE_H_

#include <string>
#include <string_view>
#include <vector>

namespace jetd::cli {

// Columns for people, as wide as what is in them, two spaces between:
//   REVISION  KEY
//   17        /a
class Table {
 public:
  explicit Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }
  // As many as the header has.
  void Add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  // A bold head is for terminals.
  enum class Head { kPlain, kBold };
  [[nodiscard]] std::string ToText(Head head = Head::kPlain) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

// Bytes that are not printable ASCII as \xNN or \n, a backslash as two, quotes as they are; of a
// long one the beginning, and "…".
inline constexpr size_t kWhole = std::string_view::npos;
[[nodiscard]] std::string Printable(std::string_view bytes, size_t max_bytes = kWhole);
[[nodiscard]] std::string Base64(std::string_view bytes);

}  // namespace jetd::cli

#endif  // JETD_CLI_TABLE_H_
