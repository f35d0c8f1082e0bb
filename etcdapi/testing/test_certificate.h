// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_TESTING_TEST_CERTIFICATE_H_
#define JETD_ETCDAPI_TESTING_TEST_CERTIFICATE_H_

#include <string>

namespace jetd::etcdapi {

// A certificate and its key in PEM, made anew for each test: for "localhost" and 127.0.0.1, signed
// by `issuer` or, with none, by itself (then it can sign others).
struct TestCertificate {
  std::string cert_pem, key_pem;
};
[[nodiscard]] TestCertificate MakeTestCertificate(const std::string& common_name,
                                                  const TestCertificate* issuer = nullptr);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_TESTING_TEST_CERTIFICATE_H_
