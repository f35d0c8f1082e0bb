// SPDX-License-Identifier: Apache-2.0
#include "conformance/program.h"

#include <algorithm>
#include <iostream>
#include <optional>
#include <string>
#include <vector>

#include "CLI/CLI.hpp"
#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

struct Read {
  std::optional<int> end;
  std::string out, err;
};

Read ReadThese(std::vector<std::string> words) {
  int count = 0;
  CLI::App app("Counts.");
  app.add_option("--count", count);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Read read;
  read.end = ReadFlags(&app, static_cast<int>(argv.size()), argv.data());
  std::cout.flush();
  read.err = ::testing::internal::GetCapturedStderr();
  read.out = ::testing::internal::GetCapturedStdout();
  return read;
}

TEST(ProgramTest, AWrongCommandLineIsOneLine) {
  EXPECT_EQ(ReadThese({"/bin/counter", "--count=3"}).end, std::nullopt);
  for (const char* wrong : {"--cuont=3", "--count=many", "word"}) {
    const Read read = ReadThese({"/bin/counter", wrong});
    EXPECT_EQ(read.end, kExitNotDone) << wrong;
    EXPECT_EQ(read.out, "") << wrong;
    EXPECT_TRUE(read.err.starts_with("counter: ")) << read.err;
    EXPECT_TRUE(read.err.ends_with("; see counter --help\n")) << read.err;
    EXPECT_EQ(std::count(read.err.begin(), read.err.end(), '\n'), 1) << read.err;
  }
  const Read help = ReadThese({"/bin/counter", "--help"});
  EXPECT_EQ(help.end, kExitGood);
  EXPECT_NE(help.out.find("--count"), std::string::npos);
}

}  // namespace
}  // namespace jetd::conformance
