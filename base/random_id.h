// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_RANDOM_ID_H_
#define JETD_BASE_RANDOM_ID_H_

#include <string>

namespace jetd {

// 16 bytes of the kernel's randomness as 32 hexadecimal digits: nobody else's, and fit for a
// password. Any thread.
[[nodiscard]] std::string RandomId();

}  // namespace jetd

#endif  // JETD_BASE_RANDOM_ID_H_
