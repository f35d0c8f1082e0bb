// SPDX-License-Identifier: Apache-2.0
#include "conformance/faults/outside_world.h"

#include <string>
#include <vector>

#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

absl::Status Check(const std::vector<std::string>& only, int nats_servers) {
  OutsideWorld::Options options;
  options.nats_servers = nats_servers;
  options.only = only;
  return OutsideWorld::CheckNames(options);
}

TEST(OutsideWorldTest, NamesOfFaults) {
  for (const int servers : {1, 3}) {
    EXPECT_TRUE(Check({}, servers).ok());
    EXPECT_TRUE(Check({"within a write", "jetd killed twice"}, servers).ok());
  }
  EXPECT_TRUE(Check({"disk full", "account full"}, 1).ok());
  EXPECT_TRUE(Check({"two nats-servers"}, 3).ok());
}

// A run without a fault would find nothing wrong.
TEST(OutsideWorldTest, AWordThatNamesNoFaultIsRefusedInOneLine) {
  for (const char* word : {"kiled", "", "Jetd", "two nats-servers"}) {
    const absl::Status refused = Check({"jetd killed", word}, 1);
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << word;
    const std::string text(MessageOf(refused));
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    EXPECT_NE(text.find(Cat("\"", word, "\"")), std::string::npos) << text;
    EXPECT_NE(text.find("\"nats-server frozen\""), std::string::npos) << text;
    EXPECT_EQ(text.find("split off"), std::string::npos) << "of a cluster: " << text;
  }
  EXPECT_FALSE(Check({"disk full"}, 3).ok());
  EXPECT_FALSE(Check({"nats-server frozen"}, 3).ok());
}

}  // namespace
}  // namespace jetd::conformance
