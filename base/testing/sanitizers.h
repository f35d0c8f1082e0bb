// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_TESTING_SANITIZERS_H_
#define JETD_BASE_TESTING_SANITIZERS_H_

namespace jetd {

// Whether AddressSanitizer looks on, and UBSan with it (preset asan).
#if defined(__SANITIZE_ADDRESS__)
inline constexpr bool kAddressSanitized = true;
#elif defined(__has_feature)
inline constexpr bool kAddressSanitized = __has_feature(address_sanitizer);
#else
inline constexpr bool kAddressSanitized = false;
#endif

}  // namespace jetd

#endif  // JETD_BASE_TESTING_SANITIZERS_H_
