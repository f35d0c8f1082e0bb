// SPDX-License-Identifier: Apache-2.0
//
// For tests: jetctl as it is typed.
#ifndef JETD_CLI_COMMAND_HARNESS_H_
#define JETD_CLI_COMMAND_HARNESS_H_

#include <cstdio>
#include <string>
#include <vector>

#include "base/check.h"
#include "cli/jetctl.h"

namespace jetd::cli {

struct Ran {
  int exit_code = 0;
  std::string results, messages;
};

inline std::string ReadAll(std::FILE* file) {
  std::rewind(file);
  std::string text;
  char buffer[4096];
  for (size_t got = 0; (got = std::fread(buffer, 1, sizeof(buffer), file)) > 0;) {
    text.append(buffer, got);
  }
  return text;
}

inline Ran Jetctl(const std::vector<std::string>& arguments) {
  std::FILE* const results = std::tmpfile();
  std::FILE* const messages = std::tmpfile();
  JETD_CHECK(results != nullptr && messages != nullptr) << "no temporary file";
  Ran ran;
  {
    Output output(results, messages);
    ran.exit_code = RunJetctl(arguments, &output);
  }
  ran.results = ReadAll(results);
  ran.messages = ReadAll(messages);
  std::fclose(results);
  std::fclose(messages);
  return ran;
}

}  // namespace jetd::cli

#endif  // JETD_CLI_COMMAND_HARNESS_H_
