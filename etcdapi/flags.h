// SPDX-License-Identifier: Apache-2.0
//
// The command line of jetd. Flags are etcd's where the meaning is the same; each can also be given
// by an environment variable, JETD_LISTEN_CLIENT_URLS for --listen-client-urls, which the flag
// overrides.
#ifndef JETD_ETCDAPI_FLAGS_H_
#define JETD_ETCDAPI_FLAGS_H_

#include <optional>
#include <string>
#include <vector>

#include "etcdapi/config.h"

namespace jetd::etcdapi {

// Exit codes of jetd.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;  // it started and could not go on
inline constexpr int kExitUsage = 2;   // the command line is wrong

struct ParsedFlags {
  std::optional<Config> config;  // nullopt: print what is below and end
  std::string output;            // --help, --version; for stdout
  std::string error;             // one line: what is wrong, why, how to mend it; for stderr
  int exit_code = kExitOk;
};

// `arguments` without the program's name. Reads the environment.
[[nodiscard]] ParsedFlags ParseFlags(const std::vector<std::string>& arguments);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_FLAGS_H_
