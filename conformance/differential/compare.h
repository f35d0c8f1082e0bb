// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_COMPARE_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_COMPARE_H_

#include <cstdint>
#include <string>

#include "conformance/differential/step.h"

namespace jetd::conformance::differential {

struct CompareOptions {
  // False when keys hang on leases whose ids each server chose for itself: they are hashed.
  bool hashes = true;
  // By how much the time that a lease has left may differ. After a restart leases have their whole
  // time again, from a moment that is each server's own.
  int64_t ttl_seconds = 2;
};

// "" if the two answers to a step are equal, otherwise what differs, in one line. Equal means: code
// and text of an error to the letter, and the message byte for byte, except
//   - ids and addresses of members, raft's numbers, sizes, the version (which must be 3.5.13 or
//     later) and Hash;
//   - what etcd's gRPC library says of methods that it does not know and of bytes that are no
//     message: only the code counts;
//   - the order of leases and of the keys of a lease, which etcd takes from a hash map;
//   - the time a lease has left: by what the options say;
//   - the order of keys that are equal by what a Range sorts by, since etcd's sort is not stable
//     above 12 keys; where such a Range is cut by its limit, which of the last of them it shows.
[[nodiscard]] std::string Difference(const Step& step, const Answer& etcd, const Answer& server,
                                     const CompareOptions& options = {});

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_COMPARE_H_
