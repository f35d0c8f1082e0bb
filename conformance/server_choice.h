// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SERVER_CHOICE_H_
#define JETD_CONFORMANCE_SERVER_CHOICE_H_

#include <optional>
#include <string>

#include "etcdclient/testing/server_process.h"

namespace jetd::conformance {

// The server under test, if `program` names none: what ServerProcess::Find finds. An exit code
// (program.h), and one line on stderr, if that is nothing.
[[nodiscard]] std::optional<int> ChooseServer(etcdclient::ServerKind kind, std::string* program);

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_SERVER_CHOICE_H_
