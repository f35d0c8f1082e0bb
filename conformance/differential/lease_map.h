// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_LEASE_MAP_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_LEASE_MAP_H_

#include <cstdint>
#include <map>

#include "base/mutex.h"
#include "google/protobuf/message.h"

namespace jetd::conformance::differential {

// LeaseMap translates between the lease ids that the suite uses and those that one server chose for
// itself. Ids that a client chose are the same everywhere and pass unchanged. Any thread.
class LeaseMap {
 public:
  void Learn(int64_t known_as, int64_t actual);
  // Everything in the message that names a lease.
  void ToActual(google::protobuf::Message& message) const;
  void ToKnown(google::protobuf::Message& message) const;
  [[nodiscard]] int64_t Actual(int64_t known_as) const;

 private:
  using Ids = std::map<int64_t, int64_t>;
  static void Translate(google::protobuf::Message& message, const Ids& ids);

  mutable Mutex mutex_;
  Ids to_actual_ ABSL_GUARDED_BY(mutex_);
  Ids to_known_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_LEASE_MAP_H_
