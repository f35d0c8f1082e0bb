// SPDX-License-Identifier: Apache-2.0
#include <signal.h>

#include <atomic>
#include <cstdio>
#include <string>
#include <vector>

#include "base/argument_secrets.h"
#include "cli/jetctl.h"

namespace jetd::cli {
namespace {

// A handler has no other way to what it should tell.
std::atomic<bool>* interrupted_of_signals = nullptr;

// Once: a second signal ends the process at once.
void CatchSignals(std::atomic<bool>* interrupted) {
  interrupted_of_signals = interrupted;
  struct sigaction action {};
  action.sa_handler = [](int) { interrupted_of_signals->store(true); };
  action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  signal(SIGPIPE, SIG_IGN);
}

}  // namespace
}  // namespace jetd::cli

int main(int argc, char** argv) {
  try {
    jetd::cli::Output output(stdout, stderr);
    jetd::cli::CatchSignals(output.interrupted());
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    // A restore may take minutes, for which everybody on the machine could read them.
    jetd::HideSecrets(argc, argv);
    return jetd::cli::RunJetctl(arguments, &output);
  } catch (...) {  // of CLI11 or the standard library: nothing of this tree throws
    std::fputs("jetctl: an exception that nobody caught\n", stderr);
    return jetd::cli::kExitFailed;
  }
}
