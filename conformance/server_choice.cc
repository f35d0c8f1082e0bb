// SPDX-License-Identifier: Apache-2.0
#include "conformance/server_choice.h"

#include <iostream>
#include <utility>

#include "base/strings.h"
#include "conformance/program.h"

namespace jetd::conformance {

std::optional<int> ChooseServer(etcdclient::ServerKind kind, std::string* program) {
  if (!program->empty()) return std::nullopt;
  auto found = etcdclient::ServerProcess::Find(kind);
  if (!found.ok()) {
    std::cerr << MessageOf(found.status()) << "\n";
    return kExitSkipped;
  }
  *program = *std::move(found);
  return std::nullopt;
}

}  // namespace jetd::conformance
