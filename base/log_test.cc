// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <sstream>
#include <string>

#include "base/log_fields.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "spdlog/sinks/ostream_sink.h"

namespace jetd::log {
namespace {

// The line of `log`, which is given a logger.
template <typename Fn>
std::string LineOf(Format format, const Fn& log) {
  std::ostringstream out;
  spdlog::logger logger("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger.set_formatter(MakeFormatter(format));
  log(&logger);
  return out.str();
}

std::string Write(Format format, std::string_view message) {
  return LineOf(format, [message](spdlog::logger* logger) { logger->warn("{}", message); });
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

TEST(LogTest, NamedValuesAreMembersOfJsonLines) {
  const auto log = [](spdlog::logger* logger) {
    logger->info("took {} ms in term {}, {}: {}{}{}", As("took_ms", 412), As("term", uint64_t{7}),
                 As("why", std::string("slow")), As("good", false), Also("bytes", int64_t{-3}),
                 Event("tested"));
  };
  EXPECT_THAT(LineOf(Format::kText, log),
              testing::EndsWith(" took 412 ms in term 7, slow: false\n"));
  const nlohmann::json parsed = nlohmann::json::parse(LineOf(Format::kJson, log));
  EXPECT_EQ(parsed["msg"], "took 412 ms in term 7, slow: false");
  EXPECT_EQ(parsed["took_ms"], 412);
  EXPECT_EQ(parsed["term"], 7);
  EXPECT_EQ(parsed["why"], "slow");
  EXPECT_EQ(parsed["good"], false);
  EXPECT_EQ(parsed["bytes"], -3);
  EXPECT_EQ(parsed["event"], "tested");
  EXPECT_EQ(parsed.size(), 9U);
}

TEST(LogTest, NamedValuesAreOfTheirLineAlone) {
  const std::string lines = LineOf(Format::kJson, [](spdlog::logger* logger) {
    logger->debug("below the level: {}", As("unwritten", 1));
    logger->info("{}", As("first", 1));
    logger->info("second");
  });
  const size_t end = lines.find('\n');
  EXPECT_EQ(nlohmann::json::parse(lines.substr(0, end)).size(), 4U);
  EXPECT_EQ(nlohmann::json::parse(lines.substr(end + 1)).size(), 3U);
}

TEST(LogTest, JsonLinesAreValidWhateverBytesValuesHold) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  const std::string line = LineOf(Format::kJson, [&](spdlog::logger* logger) {
    logger->info("{}{}", As("shown", bytes), Also("msg", "not the message"));
  });
  ASSERT_EQ(line.find('\n'), line.size() - 1);
  const nlohmann::json parsed = nlohmann::json::parse(line);
  EXPECT_EQ(parsed["shown"], parsed["msg"]);
  EXPECT_EQ(parsed["shown"].get<std::string>().substr(0, 128), bytes.substr(0, 128));
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
