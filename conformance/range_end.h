// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_RANGE_END_H_
#define JETD_CONFORMANCE_RANGE_END_H_

#include <string>

namespace jetd::conformance {

// The range_end that, with `prefix` as the key, means all keys that begin with it.
// REQUIRES: its last byte is not 0xff.
[[nodiscard]] inline std::string PrefixEnd(std::string prefix) {
  ++prefix.back();
  return prefix;
}

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_RANGE_END_H_
