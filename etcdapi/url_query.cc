// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/url_query.h"

#include <event2/http.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <string_view>

namespace jetd::etcdapi {

std::string Decoded(const std::string& text, Plus plus) {
  size_t size = 0;
  const std::unique_ptr<char, decltype(&free)> decoded(
      evhttp_uridecode(text.c_str(), plus == Plus::kBlank ? 1 : 0, &size), &free);
  return decoded == nullptr ? std::string() : std::string(decoded.get(), size);
}

std::vector<std::pair<std::string, std::string>> QueryOf(const char* text) {
  std::vector<std::pair<std::string, std::string>> query;
  std::string_view rest = text == nullptr ? "" : text;
  while (!rest.empty()) {
    const std::string_view item = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    const std::string_view value = equals == item.npos ? "" : item.substr(equals + 1);
    query.emplace_back(Decoded(std::string(item.substr(0, equals)), Plus::kBlank),
                       Decoded(std::string(value), Plus::kBlank));
  }
  return query;
}

}  // namespace jetd::etcdapi
