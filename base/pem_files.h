// SPDX-License-Identifier: Apache-2.0
//
// Reads files of certificates and keys, and says in words what is wrong with one: TLS libraries
// tell it late and with a number. Errors are FailedPrecondition and name the file; who calls knows
// which flag it came from. No error holds any of a key. Blocks; any thread.
#ifndef JETD_BASE_PEM_FILES_H_
#define JETD_BASE_PEM_FILES_H_

#include <string>

#include "absl/status/statusor.h"

namespace jetd {

[[nodiscard]] absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

// A file with at least one certificate in PEM.
[[nodiscard]] absl::StatusOr<std::string> ReadCertificates(const std::string& path);

// A file with a private key in PEM, without a passphrase: the key of the first of `certificates`.
[[nodiscard]] absl::StatusOr<std::string> ReadKeyOf(const std::string& certificates,
                                                    const std::string& path);

}  // namespace jetd

#endif  // JETD_BASE_PEM_FILES_H_
