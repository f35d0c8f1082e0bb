// SPDX-License-Identifier: Apache-2.0
// Joining text, and passing std::string_view in and out of Abseil. Where Abseil's string_view is a
// type of its own (Debian 12) neither converts to the other by itself; headers of this tree speak
// std::string_view only. Pure functions, any thread.
#ifndef JETD_BASE_STRINGS_H_
#define JETD_BASE_STRINGS_H_

#include <charconv>
#include <concepts>
#include <string>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace jetd {

[[nodiscard]] inline absl::string_view ToAbsl(std::string_view text) {
  return absl::string_view(text.data(), text.size());
}
[[nodiscard]] inline std::string_view FromAbsl(absl::string_view text) {
  return std::string_view(text.data(), text.size());
}

// The message of a status, alive as long as the status is.
[[nodiscard]] inline std::string_view MessageOf(const absl::Status& status) {
  return FromAbsl(status.message());
}

namespace strings_internal {

inline void AppendPiece(std::string& out, std::string_view piece) { out.append(piece); }

// A template, so that a string literal does not turn into a bool or a char.
template <typename Scalar>
requires std::is_arithmetic_v<Scalar>
void AppendPiece(std::string& out, Scalar piece) {
  if constexpr (std::same_as<Scalar, char>) {
    out.push_back(piece);
  } else if constexpr (std::same_as<Scalar, bool>) {
    out.append(piece ? "true" : "false");
  } else {
    char buffer[64];
    const std::to_chars_result end = std::to_chars(buffer, buffer + sizeof(buffer), piece);
    out.append(buffer, end.ptr);
  }
}

}  // namespace strings_internal

// Appends text, single characters, integers, floating-point numbers (shortest exact form) and bools
// ("true", "false"), in order: CatTo(out, "seq ", 7) appends "seq 7".
template <typename... Pieces>
void CatTo(std::string& out, const Pieces&... pieces) {
  (strings_internal::AppendPiece(out, pieces), ...);
}

template <typename... Pieces>
[[nodiscard]] std::string Cat(const Pieces&... pieces) {
  std::string out;
  CatTo(out, pieces...);
  return out;
}

// MakeStatus(absl::StatusCode::kNotFound, "bucket ", name, " is not there").
template <typename... Pieces>
[[nodiscard]] absl::Status MakeStatus(absl::StatusCode code, const Pieces&... pieces) {
  return absl::Status(code, Cat(pieces...));
}

// "0aff" for the bytes 0x0a 0xff.
[[nodiscard]] std::string HexOf(std::string_view bytes);

}  // namespace jetd

#endif  // JETD_BASE_STRINGS_H_
