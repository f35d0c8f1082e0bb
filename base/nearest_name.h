// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_NEAREST_NAME_H_
#define JETD_BASE_NEAREST_NAME_H_

#include <string>
#include <vector>

namespace jetd {

// What was meant by a name that is mistyped: the candidate most like it, or "" if none is alike.
// Pure.
[[nodiscard]] std::string NearestName(const std::string& name,
                                      const std::vector<std::string>& candidates);

}  // namespace jetd

#endif  // JETD_BASE_NEAREST_NAME_H_
