// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_TESTING_TEST_CERTIFICATE_H_
#define JETD_BASE_TESTING_TEST_CERTIFICATE_H_

#include <string>
#include <vector>

namespace jetd {

// A certificate and its key in PEM, made anew for each test: for `names` (as OpenSSL writes them),
// signed by `issuer` or, with none, by itself (then it can sign others).
struct TestCertificate {
  std::string cert_pem, key_pem;
};
struct TestCertificateOptions {
  long serial = 2;
  std::string names = "DNS:localhost,IP:127.0.0.1";
};
[[nodiscard]] TestCertificate MakeTestCertificate(const std::string& common_name,
                                                  const TestCertificate* issuer = nullptr,
                                                  const TestCertificateOptions& options = {});

// A list, in PEM, of the serial numbers that `issuer` has revoked.
[[nodiscard]] std::string MakeTestCrl(const TestCertificate& issuer,
                                      const std::vector<long>& serials);

}  // namespace jetd

#endif  // JETD_BASE_TESTING_TEST_CERTIFICATE_H_
