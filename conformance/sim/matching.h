// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_MATCHING_H_
#define JETD_CONFORMANCE_SIM_MATCHING_H_

#include <cstddef>
#include <functional>
#include <optional>

namespace jetd::conformance::sim {

// Gives each of `lefts` a right of its own that `fits` it, if that can be done. Otherwise one that
// remains without. For a few dozen of each.
[[nodiscard]] std::optional<size_t> FindUnmatched(
    size_t lefts, size_t rights, const std::function<bool(size_t left, size_t right)>& fits);

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_MATCHING_H_
