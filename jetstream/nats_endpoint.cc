// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_endpoint.h"

#include <utility>

namespace jetd::jetstream {

NatsEndpointFn RotateEndpoints(std::vector<std::string> urls, NatsCredentials credentials) {
  return [urls = std::move(urls), credentials = std::move(credentials),
          next = size_t{0}]() mutable -> absl::StatusOr<NatsEndpoint> {
    NatsEndpoint endpoint{.url = urls[next], .credentials = credentials};
    next = (next + 1) % urls.size();
    return endpoint;
  };
}

std::string UrlWithoutSecrets(const std::string& url) {
  const size_t at = url.rfind('@');
  if (at == std::string::npos) return url;
  const size_t scheme = url.find("://");
  // A scheme has no '@': what looks like one that has may hold a secret too.
  if (scheme == std::string::npos || scheme > url.find('@')) return url.substr(at + 1);
  return url.substr(0, scheme + 3) + url.substr(at + 1);
}

}  // namespace jetd::jetstream
