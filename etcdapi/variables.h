// SPDX-License-Identifier: Apache-2.0
//
// Flags given as environment variables: JETD_DATA_DIR for --data-dir. They are turned into
// arguments that stand before those of the command line, so that the last one counts.
#ifndef JETD_ETCDAPI_VARIABLES_H_
#define JETD_ETCDAPI_VARIABLES_H_

#include <string>
#include <string_view>
#include <vector>

namespace jetd::etcdapi {

// "JETD_DATA_DIR" for "data-dir".
[[nodiscard]] std::string VariableOf(const std::string& flag);

struct Variables {
  std::vector<std::string> arguments;  // "--data-dir=/var/lib/jetd"
  // One line for each variable that looks mistyped. What is like no flag is somebody else's, and so
  // is what goes on behind a flag's name: tests and tools have JETD_BIN and JETD_NATS_SERVER_2_10,
  // and Kubernetes sets JETD_SERVICE_HOST for a service named jetd. Nor are jetctl's such.
  std::vector<std::string> warnings;
};
// Reads the environment. `flags` are the names that jetd takes, without dashes; an empty variable
// counts as none.
[[nodiscard]] Variables ReadVariables(const std::vector<std::string>& flags);

// Whether the flag ("--data-dir") stands among the arguments.
[[nodiscard]] bool IsGiven(const std::string& flag, const std::vector<std::string>& arguments);

// A line about a flag, "--data-dir: …", as one about its variable if that is where the value came
// from: if `arguments`, of the command line, do not have the flag and the environment does.
[[nodiscard]] std::string AboutItsSource(std::string line,
                                         const std::vector<std::string>& arguments);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_VARIABLES_H_
