// SPDX-License-Identifier: Apache-2.0
#include <chrono>
#include <memory>

#include "base/log.h"
#include "conformance/links/link_reading.h"
#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

using std::chrono::milliseconds;

class SlowLinkTest : public ::testing::Test {
 protected:
  SlowLinkTest() { log::Init({.level = log::Level::kError}); }
};

// The answer to a ping comes behind all that is on its way; here one record takes as long as five
// pings.
TEST_F(SlowLinkTest, BytesThatArriveAreASignOfLife) {
  const auto reading = LinkReading::Prepare(
      {.records = 2, .value_bytes = 3'000'000, .ping_interval = milliseconds(2'000)});
  if (reading == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  const LinkReading::Report report = reading->Read(300'000);
  EXPECT_TRUE(report.status.ok()) << report.status;
  EXPECT_EQ(report.records, 2U);
}

// What nats-server has under way must be gone within its write deadline, or it ends the connection.
TEST_F(SlowLinkTest, NoMoreIsAskedForThanComesInASecond) {
  const auto reading = LinkReading::Prepare(
      {.records = 1'400, .value_bytes = 10'000, .nats_config = "write_deadline: \"8s\"\n"});
  if (reading == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER is not set";
  const LinkReading::Report report = reading->Read(700'000);
  EXPECT_TRUE(report.status.ok()) << report.status;
  EXPECT_EQ(report.records, 1'400U);
}

}  // namespace
}  // namespace jetd::conformance
