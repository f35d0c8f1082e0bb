// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CLI_NATS_SHARE_H_
#define JETD_CLI_NATS_SHARE_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "cli/web_page.h"
#include "nlohmann/json_fwd.hpp"

namespace jetd::cli {

// What a nats-server did for each of its accounts since its start, and the CPU time that it took
// for all of them. Plain data.
//
// nats-server does not count CPU time by account. Its time is divided by a rule: one half by the
// messages that each account's clients sent and got, the other half by their bytes. So the parts
// add up to the whole, whatever the rule is worth.
struct NatsWork {
  struct Account {
    double messages = 0, bytes = 0;  // of its clients, in both directions
  };
  std::string start;  // of the server; another one: it counts from 0 again
  double cpu_seconds = 0;
  std::map<std::string, Account> accounts;  // by name, nats-server's own too
};

// From its monitoring port, which does not tell of `cpu_seconds`. InvalidArgument, Unavailable.
[[nodiscard]] absl::StatusOr<NatsWork> AskNats(const std::string& monitor_url, const WebTls& tls,
                                               double cpu_seconds);

// What came after `earlier`; all of it if the server was started since.
[[nodiscard]] NatsWork Since(const NatsWork& now, const NatsWork& earlier);

// The CPU seconds of each account. Those of a server that had nothing to do are nobody's.
[[nodiscard]] std::map<std::string, double> DivideCpu(const NatsWork& work);

[[nodiscard]] nlohmann::json ToJson(const NatsWork& work);
// What is missing counts as 0.
[[nodiscard]] NatsWork NatsWorkOf(const nlohmann::json& json);

}  // namespace jetd::cli

#endif  // JETD_CLI_NATS_SHARE_H_
