// SPDX-License-Identifier: Apache-2.0
#include "cli/completion_command.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/check.h"
#include "base/strings.h"
#include "cli/command_harness.h"
#include "gtest/gtest.h"

namespace jetd::cli {
namespace {

std::string Script(const std::string& shell) {
  Ran ran = Jetctl({"completion", shell});
  EXPECT_EQ(ran.exit_code, kExitOk) << ran.messages;
  return ran.results;
}

std::string WriteScript(const std::string& shell) {
  const std::string path = Cat(testing::TempDir(), "/jetctl-completion.", getpid(), ".", shell);
  std::ofstream(path) << Script(shell);
  return path;
}

std::string OutputOf(const std::string& command) {
  std::FILE* const pipe = popen(command.c_str(), "r");
  JETD_CHECK(pipe != nullptr) << "no shell";
  std::string text = ReadAll(pipe);
  EXPECT_EQ(pclose(pipe), 0) << command;
  return text;
}

// What bash offers for the last of these words.
std::string Offered(const std::string& path, const std::string& words, int last) {
  return OutputOf(Cat("bash -c 'set -eu; source ", path, "; COMP_WORDS=(", words,
                      "); COMP_CWORD=", last, "; _jetctl; echo \"${COMPREPLY[*]}\"'"));
}

TEST(CompletionCommandTest, BashOffersWhatFits) {
  const std::string path = WriteScript("bash");
  EXPECT_EQ(Offered(path, "jetctl che", 1), "check\n");
  EXPECT_EQ(Offered(path, "jetctl check --data", 2), "--data-dir\n");
  EXPECT_EQ(Offered(path, "jetctl check --data-dir /x --endp", 4), "--endpoint\n");
  EXPECT_EQ(Offered(path, "jetctl --vers", 1), "--version\n");
  EXPECT_EQ(Offered(path, "jetctl check che", 2), "\n");
  EXPECT_EQ(Offered(path, "jetctl help mirr", 2), "mirror\n");
  EXPECT_EQ(Offered(path, "jetctl help mirror tr", 3), "trim\n");
  EXPECT_EQ(Offered(path, "jetctl help mirror trim --hor", 4), "\n");
  const std::string all = Offered(path, "jetctl \"\"", 1);
  for (const char* command : {"check", "transactions", "completion"}) {
    EXPECT_NE(all.find(command), std::string::npos) << command;
  }
  std::remove(path.c_str());
}

TEST(CompletionCommandTest, ZshReadsItsScript) {
  const std::string path = WriteScript("zsh");
  // The function is defined, and its branches are what the bash script has, with their help.
  EXPECT_EQ(
      OutputOf(Cat("zsh -f -c 'compdef() { : }; source ", path, " && whence -w _jetctl' 2>&1")),
      "_jetctl: function\n");
  EXPECT_NE(Script("zsh").find("'--data-dir:"), std::string::npos);
  std::remove(path.c_str());
}

TEST(CompletionCommandTest, OtherShells) {
  const Ran unknown = Jetctl({"completion", "fish"});
  EXPECT_EQ(unknown.exit_code, kExitUsage);
  EXPECT_EQ(unknown.messages,
            "jetctl completion: unknown shell \"fish\": jetctl completion bash, or zsh\n");
  const Ran none = Jetctl({"completion"});
  EXPECT_EQ(none.exit_code, kExitUsage);
  EXPECT_EQ(none.messages, "jetctl completion: name a shell: jetctl completion bash, or zsh\n");
}

}  // namespace
}  // namespace jetd::cli
