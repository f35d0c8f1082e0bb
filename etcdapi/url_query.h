// SPDX-License-Identifier: Apache-2.0
// Parts of URLs, decoded by libevent. Pure functions, any thread.
#ifndef JETD_ETCDAPI_URL_QUERY_H_
#define JETD_ETCDAPI_URL_QUERY_H_

#include <string>
#include <utility>
#include <vector>

namespace jetd::etcdapi {

// "%2F" is "/". With kBlank a plus is a blank, as in a query.
enum class Plus { kItself, kBlank };
[[nodiscard]] std::string Decoded(const std::string& text, Plus plus);

// "a=1&b" as {{"a", "1"}, {"b", ""}}: decoded, in order. `text` may be null. (libevent's own takes
// no name without "=", as in "?verbose".)
[[nodiscard]] std::vector<std::pair<std::string, std::string>> QueryOf(const char* text);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_URL_QUERY_H_
