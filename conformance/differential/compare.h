// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_COMPARE_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_COMPARE_H_

#include <string>

#include "conformance/differential/step.h"

namespace jetd::conformance::differential {

struct CompareOptions {
  // False when keys hang on leases whose ids each server chose for itself: they are hashed.
  bool hashes = true;
};

// "" if the two answers to a step are equal, otherwise what differs, in one line. Equal means: code
// and text of an error to the letter, and the message byte for byte, except
//   - ids and addresses of members, raft's numbers, sizes, the version (which must be 3.5.13 or
//     later) and Hash;
//   - what etcd's gRPC library says of methods that it does not know and of bytes that are no
//     message: only the code counts;
//   - the order of leases and of the keys of a lease, which etcd takes from a hash map;
//   - the time a lease has left: by two seconds;
//   - the order of keys that are equal by what a Range sorts by, since etcd's sort is not stable
//     above 12 keys; where such a Range is cut by its limit, which of the last of them it shows.
[[nodiscard]] std::string Difference(const Step& step, const Answer& etcd, const Answer& server,
                                     const CompareOptions& options = {});

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_COMPARE_H_
