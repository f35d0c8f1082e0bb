// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/check.h"
#include "cli/command_harness.h"
#include "cli/output.h"
#include "gtest/gtest.h"

namespace jetd::cli {
namespace {

// What comes out at the other end of a terminal.
class Terminal {
 public:
  Terminal() : outside_(posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK)) {
    JETD_CHECK(outside_ >= 0 && grantpt(outside_) == 0 && unlockpt(outside_) == 0) << "no terminal";
    inside_ = std::fopen(ptsname(outside_), "w");
    JETD_CHECK(inside_ != nullptr) << "no terminal";
  }
  ~Terminal() {
    std::fclose(inside_);
    close(outside_);
  }
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  [[nodiscard]] std::FILE* file() const { return inside_; }
  // Without the carriage returns that a terminal adds.
  [[nodiscard]] std::string Text() const {
    std::fflush(inside_);
    std::string text;
    char byte = 0;
    while (read(outside_, &byte, 1) == 1) {
      if (byte != '\r') text += byte;
    }
    return text;
  }

 private:
  const int outside_;
  std::FILE* inside_ = nullptr;
};

void SayAll(Output* output) {
  Table table({"KEY"});
  table.Add({"/a"});
  output->Print(table);
  output->PrintVerdict("DAMAGE key\nno damage\n1 damage: key 1\n", "no damage", "DAMAGE");
  output->Say("check", "a note");
  output->Fail("check", "a failure");
}

std::string OnATerminal() {
  const Terminal terminal;
  {
    Output output(terminal.file(), terminal.file());
    SayAll(&output);
  }
  return terminal.Text();
}

constexpr char kPlain[] =
    "KEY\n/a\nDAMAGE key\nno damage\n1 damage: key 1\njetctl check: a note\njetctl check: a "
    "failure\n";

TEST(ColoursTest, ColoursOnATerminal) {
  unsetenv("NO_COLOR");
  setenv("TERM", "xterm", 1);
  EXPECT_EQ(OnATerminal(),
            "\x1b[1mKEY\x1b[0m\n/a\n\x1b[31mDAMAGE\x1b[0m key\n\x1b[32mno damage\x1b[0m\n"
            "1 damage: key 1\njetctl check: a note\n\x1b[31mjetctl check:\x1b[0m a failure\n");
}

TEST(ColoursTest, NoColoursWhereNobodyWantsThem) {
  setenv("TERM", "xterm", 1);
  setenv("NO_COLOR", "1", 1);
  EXPECT_EQ(OnATerminal(), kPlain);
  unsetenv("NO_COLOR");
  setenv("TERM", "dumb", 1);
  EXPECT_EQ(OnATerminal(), kPlain);
  unsetenv("TERM");
  EXPECT_EQ(OnATerminal(), kPlain);
}

TEST(ColoursTest, NoColoursInFiles) {
  unsetenv("NO_COLOR");
  setenv("TERM", "xterm", 1);
  std::FILE* const file = std::tmpfile();
  JETD_CHECK(file != nullptr) << "no file";
  {
    Output output(file, file);
    SayAll(&output);
  }
  EXPECT_EQ(ReadAll(file), kPlain);
  std::fclose(file);
}

}  // namespace
}  // namespace jetd::cli
