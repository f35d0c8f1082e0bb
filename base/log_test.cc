// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <sstream>
#include <string>

#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "spdlog/sinks/ostream_sink.h"

namespace jetd::log {
namespace {

std::string Write(Format format, std::string_view message) {
  std::ostringstream out;
  spdlog::logger logger("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger.set_formatter(MakeFormatter(format));
  logger.warn("{}", message);
  return out.str();
}

TEST(LogTest, TextLineHasTimeLevelAndMessage) {
  EXPECT_THAT(
      Write(Format::kText, "disk \"slow\""),
      testing::MatchesRegex(
          "[0-9]+-[0-9]+-[0-9]+T[0-9]+:[0-9]+:[0-9]+\\.[0-9]+Z warn[a-z]* disk \"slow\"\n"));
}

TEST(LogTest, JsonLineIsOneObjectWhateverTheMessageHolds) {
  const std::string message("quote \" newline \n zero \0 end", 28);
  const std::string line = Write(Format::kJson, message);
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  const nlohmann::json parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["msg"], message);
  EXPECT_EQ(parsed["level"], "warn");
  EXPECT_THAT(parsed["ts"].get<std::string>(), testing::EndsWith("Z"));
}

TEST(LogTest, JsonLineReplacesBytesThatAreNoUtf8) {
  const nlohmann::json parsed = nlohmann::json::parse(Write(Format::kJson, "a\xff z"));
  EXPECT_EQ(parsed["msg"], "a\xEF\xBF\xBD z");
}

TEST(LogTest, ParseLevelKnowsEtcdsNames) {
  EXPECT_EQ(*ParseLevel("debug"), Level::kDebug);
  EXPECT_EQ(*ParseLevel("info"), Level::kInfo);
  EXPECT_EQ(*ParseLevel("warn"), Level::kWarn);
  EXPECT_EQ(*ParseLevel("panic"), Level::kError);
  EXPECT_EQ(ParseLevel("loud").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(LogTest, InitAppliesTheLevel) {
  Init({.level = Level::kError, .format = Format::kText});
  testing::internal::CaptureStderr();
  Warn("hidden {}", 1);
  Error("seen {}", 2);
  const std::string out = testing::internal::GetCapturedStderr();
  EXPECT_THAT(out, testing::HasSubstr("seen 2"));
  EXPECT_THAT(out, testing::Not(testing::HasSubstr("hidden")));
}

}  // namespace
}  // namespace jetd::log
