// SPDX-License-Identifier: Apache-2.0
#include "base/testing/free_port.h"

#include <fstream>
#include <set>

#include "gtest/gtest.h"

namespace jetd {
namespace {

TEST(FreePortTest, NoneIsGivenTwiceNorOneThatTheSystemGives) {
  int first = 0, last = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first >> last;
  ASSERT_GT(first, 0);
  std::set<int> given;
  for (int i = 0; i < 300; ++i) {
    const int port = FreePort();
    EXPECT_TRUE(given.insert(port).second) << port;
    EXPECT_LT(port, first);
  }
}

}  // namespace
}  // namespace jetd
