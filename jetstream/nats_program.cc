// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_program.h"

#include <unistd.h>

#include <cstdlib>
#include <sstream>

#include "base/strings.h"

namespace jetd::jetstream {

absl::StatusOr<std::string> FindNatsServer(const std::string& given) {
  if (given.find('/') != std::string::npos) return given;
  const char* path = std::getenv("PATH");
  std::istringstream folders(path != nullptr ? path : "");
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string program = Cat(folder, "/", given.empty() ? "nats-server" : given);
    if (access(program.c_str(), X_OK) == 0) return program;
  }
  return MakeStatus(absl::StatusCode::kFailedPrecondition, given.empty() ? "nats-server" : given,
                    " is not in PATH; give --nats-server with its path, or --nats-url of a server "
                    "that runs");
}

}  // namespace jetd::jetstream
