// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_JSON_MEMBER_H_
#define JETD_CLI_JSON_MEMBER_H_

#include <cstdint>
#include <limits>
#include <string>

#include "nlohmann/json.hpp"

// What a page of another process says in a member that it may not have, or have of another kind: 0
// and the empty string then. REQUIRES: `object` is one. Any thread.
namespace jetd::cli {

inline double NumberOf(const nlohmann::json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_number() ? found->get<double>() : 0;
}

inline std::string StringOf(const nlohmann::json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// What another process says is a whole number: 0 if it is less or none, and no more than fits.
inline uint64_t WholeOf(double number) {
  constexpr double kBeyond = 18'446'744'073'709'551'616.0;  // 2^64
  if (number >= kBeyond) return std::numeric_limits<uint64_t>::max();
  return number >= 1 ? static_cast<uint64_t>(number) : 0;
}

}  // namespace jetd::cli

#endif  // JETD_CLI_JSON_MEMBER_H_
