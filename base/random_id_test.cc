// SPDX-License-Identifier: Apache-2.0
#include "base/random_id.h"

#include <set>
#include <string>

#include "gtest/gtest.h"

namespace jetd {
namespace {

TEST(RandomIdTest, IsOfOneLengthAndNeverTheSame) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    const std::string id = RandomId();
    EXPECT_EQ(id.size(), 32U);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdef"), std::string::npos) << id;
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 1000U);
}

}  // namespace
}  // namespace jetd
