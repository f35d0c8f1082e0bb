// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_PROCESS_FIGURES_H_
#define JETD_ETCDAPI_PROCESS_FIGURES_H_

#include <cstdint>

namespace jetd::etcdapi {

// What the system says of this process. 0 where it does not say.
struct ProcessFigures {
  double cpu_seconds = 0;
  double start_time_seconds = 0;  // since 1970
  uint64_t resident_bytes = 0, virtual_bytes = 0;
  uint64_t max_virtual_bytes = 0;  // its limit
  uint64_t open_fds = 0, max_fds = 0;
  uint64_t threads = 0;
};

// Reads /proc: some tens of microseconds, more with thousands of descriptors. Any thread.
[[nodiscard]] ProcessFigures ReadProcessFigures();

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_PROCESS_FIGURES_H_
