// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_CERTIFICATE_FILES_H_
#define JETD_ETCDAPI_CERTIFICATE_FILES_H_

#include <array>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "etcdapi/file_stamp.h"
#include "etcdapi/tls_files.h"
#include "rpc/tls.h"

namespace jetd::etcdapi {

using Certificates = rpc::TlsCertificates;

// CertificateFiles follows the files of TlsFiles: who makes a connection asks it, it looks whether
// a file has changed, and reads it again. Nothing else runs: no thread, no timer. (etcd does the
// same for every connection.)
//
// A set that does not fit together is not taken over, since renewal writes one file after the
// other: what was taken before stays in use, and the log says so once.
//
// Any thread.
class CertificateFiles {
 public:
  // FailedPrecondition with the flag and the file if they cannot be used as they are. `whose` is
  // for the log: whose connections are meant.
  [[nodiscard]] static absl::StatusOr<std::shared_ptr<CertificateFiles>> Open(
      const TlsFiles& files, const std::string& whose);

  // Never null. The same object as before while the files are as they were. Blocks on the disk.
  [[nodiscard]] std::shared_ptr<const Certificates> Current();

 private:
  using Stamps = std::array<FileStamp, 3>;

  CertificateFiles(const TlsFiles& files, std::string whose);
  void Begin(const Stamps& stamps, Certificates certificates);
  [[nodiscard]] Stamps Look() const;
  [[nodiscard]] absl::StatusOr<Certificates> Read() const;

  const std::string cert_file_, key_file_, ca_file_, whose_;
  Mutex mutex_;
  Stamps stamps_ ABSL_GUARDED_BY(mutex_);
  std::shared_ptr<const Certificates> current_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_CERTIFICATE_FILES_H_
