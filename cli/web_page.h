// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_WEB_PAGE_H_
#define JETD_CLI_WEB_PAGE_H_

#include <string>

#include "absl/status/statusor.h"

namespace jetd::cli {

// For https, PEM files: whom to trust (empty: the system's roots), and what to show.
struct WebTls {
  std::string ca_file{}, cert_file{}, key_file{};
};

// The body of an HTTP page, `base_url` being http://host:port or https://host:port. InvalidArgument
// for another URL, FailedPrecondition for a file that is of no use, Unavailable: it could not be
// had. Blocks, up to half a minute. Any thread.
[[nodiscard]] absl::StatusOr<std::string> GetWebPage(const std::string& base_url,
                                                     const std::string& path, const WebTls& tls);

}  // namespace jetd::cli

#endif  // JETD_CLI_WEB_PAGE_H_
