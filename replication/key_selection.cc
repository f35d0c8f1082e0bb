// SPDX-License-Identifier: Apache-2.0
#include "replication/key_selection.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace jetd::replication {
namespace {

constexpr std::string_view kRegistry = "/registry/";
constexpr std::string_view kNamespaces = "namespaces";
constexpr std::string_view kNoEnd("\0", 1);

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find('/', begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

// Empty: of no namespace.
std::string_view NamespaceOf(std::string_view key) {
  if (!key.starts_with(kRegistry)) return {};
  const std::vector<std::string_view> parts = Split(key.substr(kRegistry.size()));
  const bool custom = parts[0].find('.') != std::string_view::npos;
  if (parts.size() == 2 && parts[0] == kNamespaces) return parts[1];
  if (parts.size() == 3 && !custom) return parts[1];
  if (parts.size() == 4) return parts[2];
  return {};
}

}  // namespace

std::string EndOfPrefix(std::string_view prefix) {
  std::string end(prefix);
  while (!end.empty() && end.back() == '\xff') end.pop_back();
  if (end.empty()) return std::string(kNoEnd);
  end.back() = static_cast<char>(static_cast<unsigned char>(end.back()) + 1);
  return end;
}

std::string ShellWord(std::string_view text) {
  const bool plain = !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./:,=@%+").find(c) != std::string_view::npos;
  });
  if (plain) return std::string(text);
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

absl::StatusOr<KeySelection> KeySelection::Make(std::vector<std::string> prefixes,
                                                std::vector<std::string> namespaces) {
  if (std::find(prefixes.begin(), prefixes.end(), "") != prefixes.end()) {
    return absl::InvalidArgumentError("--prefix is empty; leave it out for all keys");
  }
  for (const std::string& name : namespaces) {
    if (name.empty() || name.find('/') != std::string::npos) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, "--namespace: \"", name,
                        "\" is no name of a namespace");
    }
  }
  KeySelection selection;
  selection.prefixes_ = std::move(prefixes);
  selection.namespaces_ = std::move(namespaces);
  return selection;
}

bool KeySelection::Matches(std::string_view key) const {
  if (all()) return true;
  if (std::any_of(prefixes_.begin(), prefixes_.end(),
                  [key](const std::string& prefix) { return key.starts_with(prefix); })) {
    return true;
  }
  if (namespaces_.empty()) return false;
  const std::string_view of = NamespaceOf(key);
  return !of.empty() && std::find(namespaces_.begin(), namespaces_.end(), of) != namespaces_.end();
}

std::vector<KeySelection::Range> KeySelection::Ranges() const {
  if (all()) return {{std::string(kNoEnd), std::string(kNoEnd)}};
  std::vector<Range> ranges;
  for (const std::string& prefix : prefixes_) ranges.push_back({prefix, EndOfPrefix(prefix)});
  if (!namespaces_.empty()) {
    ranges.push_back({std::string(kRegistry), EndOfPrefix(kRegistry)});
  }
  std::sort(ranges.begin(), ranges.end(),
            [](const Range& a, const Range& b) { return a.begin < b.begin; });
  std::vector<Range> merged;
  for (Range& range : ranges) {
    if (merged.empty() || (merged.back().end != kNoEnd && merged.back().end < range.begin)) {
      merged.push_back(std::move(range));
    } else if (merged.back().end != kNoEnd &&
               (range.end == kNoEnd || range.end > merged.back().end)) {
      merged.back().end = std::move(range.end);
    }
  }
  return merged;
}

std::string KeySelection::Text() const {
  if (all()) return "all keys";
  std::string text = "keys";
  const char* between = "";
  for (const std::string& prefix : prefixes_) {
    CatTo(text, between, " with prefix ", prefix);
    between = " and";
  }
  for (const std::string& name : namespaces_) {
    CatTo(text, between, " of namespace ", name);
    between = " and";
  }
  return text;
}

std::string KeySelection::Flags() const {
  std::string text;
  for (const std::string& prefix : prefixes_) CatTo(text, " ", ShellWord(Cat("--prefix=", prefix)));
  for (const std::string& name : namespaces_) {
    CatTo(text, " ", ShellWord(Cat("--namespace=", name)));
  }
  return text;
}

}  // namespace jetd::replication
