// SPDX-License-Identifier: Apache-2.0
//
// Passwords in the URLs of a command line, which everybody on the machine can read in the list of
// processes.
#ifndef JETD_BASE_ARGUMENT_SECRETS_H_
#define JETD_BASE_ARGUMENT_SECRETS_H_

#include <string>
#include <vector>

namespace jetd {

// One line for each flag (--nats-url, --to-nats-url, --endpoint) among `arguments` whose URL has a
// user, with the mend. Each flag has two dashes.
[[nodiscard]] std::vector<std::string> WarnOfSecrets(const std::vector<std::string>& arguments);

// Overwrites users and passwords in the process's own arguments with stars, where the list of
// processes reads them. To be called before other threads run, when the arguments are read.
void HideSecrets(int argc, char** argv);

}  // namespace jetd

#endif  // JETD_BASE_ARGUMENT_SECRETS_H_
