// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/key_space.h"

#include <array>
#include <charconv>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::conformance::history {
namespace {

constexpr size_t kGroupDigits = 4;
constexpr size_t kIdDigits = 16;

std::string Padded(uint64_t number, size_t digits, int base) {
  std::array<char, 24> text{};
  const auto end = std::to_chars(text.data(), text.data() + text.size(), number, base).ptr;
  std::string padded(text.data(), end);
  return std::string(digits - padded.size(), '0') + padded;
}

std::optional<uint64_t> Parse(std::string_view text, int base) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Spreads a value's bits (SplitMix64's last steps).
uint64_t Mix(uint64_t x) {
  x ^= x >> 30U;
  x *= 0xbf58476d1ce4e5b9U;
  x ^= x >> 27U;
  x *= 0x94d049bb133111ebU;
  return x ^ x >> 31U;
}

}  // namespace

KeySpace::KeySpace(size_t groups, size_t group_size) : groups_(groups), group_size_(group_size) {
  JETD_CHECK(groups > 0 && groups <= 10'000 && group_size > 0 && group_size <= 10)
      << groups << " groups of " << group_size;
}

std::string KeySpace::Prefix() { return "/history/"; }

std::string KeySpace::Name(KeyId key) const {
  return Cat(Prefix(), "g", Padded(key / group_size_, kGroupDigits, 10), "/k", key % group_size_);
}

std::optional<KeyId> KeySpace::Find(std::string_view name) const {
  const size_t digits = Prefix().size() + 1;
  if (name.size() != digits + kGroupDigits + 3) return std::nullopt;
  const auto group = Parse(name.substr(digits, kGroupDigits), 10);
  const auto place = Parse(name.substr(digits + kGroupDigits + 2), 10);
  if (!group.has_value() || !place.has_value()) return std::nullopt;
  if (*group >= groups_ || *place >= group_size_) return std::nullopt;
  const auto key = static_cast<KeyId>(*group * group_size_ + *place);
  return Name(key) == name ? std::optional(key) : std::nullopt;
}

std::string ValueBytes(ValueId value) {
  const uint64_t random = Mix(value);
  std::string bytes = Padded(value, kIdDigits, 16);
  const size_t more = random % 500 == 0 ? 20'000 : random % 7 == 0 ? random % 700 : random % 60;
  bytes.reserve(bytes.size() + more);
  for (size_t i = 0; i < more; ++i) {
    bytes.push_back(static_cast<char>('!' + (random >> (i % 32U)) % 90));
  }
  return bytes;
}

ValueId ValueOf(std::string_view bytes) {
  if (bytes.size() < kIdDigits) return kStrange;
  const auto value = Parse(bytes.substr(0, kIdDigits), 16);
  if (!value.has_value() || *value == kAbsent || *value == kStrange) return kStrange;
  return ValueBytes(*value) == bytes ? *value : kStrange;
}

}  // namespace jetd::conformance::history
