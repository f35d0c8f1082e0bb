// SPDX-License-Identifier: Apache-2.0
#include "tenant/config_word.h"

#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <set>
#include <system_error>
#include <vector>

#include "base/pem_files.h"
#include "base/strings.h"

namespace jetd::tenant {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWordBytes =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
constexpr std::string_view kInclude = "include";

// Where the word begins; npos: it is not there.
size_t WordIn(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    const bool begins = at == 0 || kWordBytes.find(text[at - 1]) == kWordBytes.npos;
    const bool ends = end == text.size() || kWordBytes.find(text[end]) == kWordBytes.npos;
    if (begins && ends) return at;
  }
  return text.npos;
}

// Of `include "file"`, `include 'file'` or `include file`, which may stand behind a brace; empty:
// the line includes nothing.
std::string_view Included(std::string_view line) {
  const size_t at = line.find_first_not_of(" \t{");
  if (at == line.npos || !line.substr(at).starts_with(kInclude)) return {};
  line.remove_prefix(at + kInclude.size());
  const size_t begin = line.find_first_not_of(" \t\"'");
  if (begin == 0 || begin == line.npos) return {};
  return line.substr(begin, line.find_first_of("\"' \t\r;}", begin) - begin);
}

fs::path Canonical(const fs::path& path) {
  std::error_code error;
  fs::path canonical = fs::weakly_canonical(path, error);
  return error ? path : canonical;
}

}  // namespace

absl::StatusOr<std::string> FindConfigWord(const std::string& config, const std::string& own_file,
                                           std::string_view word) {
  std::set<fs::path> seen = {Canonical(own_file)};
  std::vector<fs::path> left = {config};
  while (!left.empty()) {
    const fs::path path = left.back();
    left.pop_back();
    if (!seen.insert(Canonical(path)).second) continue;
    const auto text = ReadWholeFile(path.string());
    if (!text.ok()) return text.status();
    size_t number = 1;
    for (size_t begin = 0; begin < text->size(); ++number) {
      const size_t end = std::min(text->find('\n', begin), text->size());
      const std::string_view line = std::string_view(*text).substr(begin, end - begin);
      // A file's name is none of an account.
      const std::string_view file = Included(line);
      if (!file.empty()) {
        left.push_back(path.parent_path() / file);
      } else if (WordIn(line, word) != line.npos) {
        return Cat(path.string(), ":", number);
      }
      begin = end + 1;
    }
  }
  return std::string();
}

}  // namespace jetd::tenant
