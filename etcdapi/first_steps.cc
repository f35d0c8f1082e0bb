// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/first_steps.h"

#include <string_view>

#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

// As a shell takes it for one word.
std::string Quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+=:[]";
  if (word.find_first_not_of(kPlain) == std::string::npos && word.find('[') == std::string::npos) {
    return word;
  }
  std::string quoted = "'";
  for (const char c : word) CatTo(quoted, c == '\'' ? std::string("'\\''") : std::string(1, c));
  return quoted + "'";
}

}  // namespace

std::string FirstCommand(const Config& config, const std::string& etcdctl) {
  for (const ListenUrl& url : config.listen_client_urls) {
    if (url.tls) continue;
    return Cat(Quoted(etcdctl.empty() ? "etcdctl" : etcdctl),
               " --endpoints=", Quoted(UrlForClients(url)), " put greeting hello");
  }
  return "";
}

}  // namespace jetd::etcdapi
