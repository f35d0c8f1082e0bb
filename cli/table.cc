// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "base/strings.h"

namespace jetd::cli {
namespace {

// Of UTF-8, by its first bytes.
size_t WidthOf(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  }));
}

}  // namespace

std::string Table::ToText(Head head) const {
  std::vector<size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    size_t pad = 0;  // nothing behind the last
    for (size_t i = 0; i < row.size(); ++i) {
      if (row[i].empty()) {
        pad += widths[i] + 2;
        continue;
      }
      text.append(pad, ' ');
      text += row[i];
      pad = widths[i] - WidthOf(row[i]) + 2;
    }
    text += '\n';
    if (&row == &rows_.front() && head == Head::kBold) {
      text = Cat("\x1b[1m", text.substr(0, text.size() - 1), "\x1b[0m\n");
    }
  }
  return text;
}

std::string Printable(std::string_view bytes, size_t max_bytes) {
  std::string text;
  for (const char byte : bytes.substr(0, max_bytes)) {
    // Quotes stay: most values are JSON, and a key or a value is copied from here.
    if (byte == '"' || byte == '\'') {
      text += byte;
    } else {
      text += absl::CHexEscape({&byte, 1});
    }
  }
  return bytes.size() > max_bytes ? text + "…" : text;
}

std::string Base64(std::string_view bytes) { return absl::Base64Escape(ToAbsl(bytes)); }

}  // namespace jetd::cli
