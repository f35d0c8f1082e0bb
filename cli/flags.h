// SPDX-License-Identifier: Apache-2.0
//
// What the commands' flags have in common.
#ifndef JETD_CLI_FLAGS_H_
#define JETD_CLI_FLAGS_H_

#include <string>

#include "CLI/App.hpp"
#include "absl/status/status.h"
#include "base/strings.h"

namespace jetd::cli {

// The command line is wrong; one line for people.
template <typename... Pieces>
[[nodiscard]] absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

// An option of which the last one counts, under a heading of the help.
inline void AddText(CLI::App* app, const std::string& group, const std::string& name,
                    std::string* value, const std::string& help) {
  app->add_option(name, *value, help)->take_last()->group(group);
}

}  // namespace jetd::cli

#endif  // JETD_CLI_FLAGS_H_
