// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_POWER_FAULT_H_
#define JETD_CONFORMANCE_POWER_FAULT_H_

#include "conformance/power/mount.h"

namespace jetd::conformance::power {

// Operations of the file system that fail with EIO.
struct Fault {
  const char* name = "";
  Mount::Matches matches{};
  int times = 1;
  bool at_stop = false;   // when jetd is told to end
  bool must_end = false;  // jetd has promised to end by it
};

// One after the other, and from the first again.
[[nodiscard]] const Fault& FaultOf(int number);
[[nodiscard]] int FaultCount();

}  // namespace jetd::conformance::power

#endif  // JETD_CONFORMANCE_POWER_FAULT_H_
