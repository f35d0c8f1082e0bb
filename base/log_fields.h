// SPDX-License-Identifier: Apache-2.0
// Named values of what is logged. In a text line they are what they print; in a JSON line they are
// also members of the object, for those who filter and count:
//
//   log::Info("leading in term {}, revision {}{}", log::As("term", 7), log::As("revision", 12),
//             log::Event("leading"));
//
//   2026-01-02T03:04:05.678Z info leading in term 7, revision 12
//   {"ts":"…","level":"info","msg":"leading in term 7, revision 12","term":7,"revision":12,
//    "event":"leading"}
//
// Texts may be reworded; names of values and events stay. Any thread; values are the same as in the
// text, so that what may not be in the one may not be in the other.
#ifndef JETD_BASE_LOG_FIELDS_H_
#define JETD_BASE_LOG_FIELDS_H_

#include <concepts>
#include <cstdint>
#include <string_view>

#include "base/log.h"
#include "spdlog/fmt/fmt.h"

namespace jetd::log {

// For the length of the call that logs it: it refers to texts.
template <typename T>
struct Named {
  std::string_view name;
  T value;
};
template <typename T>
struct Unseen {
  std::string_view name;
  T value;
};

[[nodiscard]] constexpr Named<std::string_view> As(std::string_view name, std::string_view value) {
  return {name, value};
}
template <std::integral T>
[[nodiscard]] constexpr Named<T> As(std::string_view name, T value) {
  return {name, value};
}
// A member of JSON lines that prints nothing in the text.
[[nodiscard]] constexpr Unseen<std::string_view> Also(std::string_view name,
                                                      std::string_view value) {
  return {name, value};
}
template <std::integral T>
[[nodiscard]] constexpr Unseen<T> Also(std::string_view name, T value) {
  return {name, value};
}
// What has happened, in a word that stays.
[[nodiscard]] constexpr Unseen<std::string_view> Event(std::string_view name) {
  return Also("event", name);
}

// For the formatters below: kept for the JSON line that this thread is about to write.
void KeepField(std::string_view name, std::string_view value);
void KeepField(std::string_view name, int64_t value);
void KeepField(std::string_view name, uint64_t value);
void KeepField(std::string_view name, bool value);

template <typename T>
void Keep(std::string_view name, const T& value) {
  if constexpr (std::same_as<T, std::string_view> || std::same_as<T, bool>) {
    KeepField(name, value);
  } else if constexpr (std::signed_integral<T>) {
    KeepField(name, static_cast<int64_t>(value));
  } else {
    KeepField(name, static_cast<uint64_t>(value));
  }
}

}  // namespace jetd::log

template <typename T>
struct fmt::formatter<jetd::log::Named<T>> : fmt::formatter<T> {
  template <typename Context>
  auto format(const jetd::log::Named<T>& named, Context& context) const {
    jetd::log::Keep(named.name, named.value);
    return fmt::formatter<T>::format(named.value, context);
  }
};

template <typename T>
struct fmt::formatter<jetd::log::Unseen<T>> {
  constexpr auto parse(fmt::format_parse_context& context) { return context.begin(); }
  template <typename Context>
  auto format(const jetd::log::Unseen<T>& unseen, Context& context) const {
    jetd::log::Keep(unseen.name, unseen.value);
    return context.out();
  }
};

#endif  // JETD_BASE_LOG_FIELDS_H_
