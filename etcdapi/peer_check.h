// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_PEER_CHECK_H_
#define JETD_ETCDAPI_PEER_CHECK_H_

#include <openssl/x509.h>

#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "etcdapi/file_stamp.h"
#include "etcdapi/tls_files.h"

namespace jetd::etcdapi {

// PeerCheck says who is let in of those whose certificate is of the CA: whom the list of revoked
// certificates does not name, and who has one of the names that are allowed.
//
// The list is etcd's kind: a certificate is revoked if its serial number, or that of one sent along
// with it, stands in the file, whoever signed the list. The file is followed: one that cannot be
// read, or holds no list, leaves the one before in use.
//
// Any thread.
class PeerCheck {
 public:
  // Null if TlsFiles lets everybody in. FailedPrecondition with the flag and the file.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<PeerCheck>> Open(const TlsFiles& files);

  // At a handshake. `chain` may hold the leaf too, and may be null.
  [[nodiscard]] absl::Status Check(X509* leaf, const STACK_OF(X509) * chain);
  // For each call on a connection that Check let in: whether it is revoked now. The list is looked
  // at once a second. Unauthenticated.
  [[nodiscard]] absl::Status CheckCall(X509* leaf, const STACK_OF(X509) * chain);

 private:
  explicit PeerCheck(const TlsFiles& files) : files_(files) {}
  [[nodiscard]] absl::Status Begin();
  void Follow(std::chrono::nanoseconds at_most_each) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool IsRevoked(X509* leaf, const STACK_OF(X509) * chain) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  [[nodiscard]] bool HasAllowedName(X509* leaf) const;

  const TlsFiles files_;
  Mutex mutex_;
  FileStamp stamp_ ABSL_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point looked_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> revoked_ ABSL_GUARDED_BY(mutex_);  // serial numbers, big-endian
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_PEER_CHECK_H_
