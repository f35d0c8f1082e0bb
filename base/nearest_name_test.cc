// SPDX-License-Identifier: Apache-2.0
#include "base/nearest_name.h"

#include "gtest/gtest.h"

namespace jetd {
namespace {

TEST(NearestNameTest, FindsWhatWasMeant) {
  EXPECT_EQ(NearestName("bukcet", {"data-dir", "bucket"}), "bucket");
  EXPECT_EQ(NearestName("data_dir", {"data-dir", "bucket"}), "data-dir");
}

TEST(NearestNameTest, SaysNothingWhereNothingIsAlike) {
  EXPECT_EQ(NearestName("xyz", {"data-dir", "bucket"}), "");
  EXPECT_EQ(NearestName("bucket", {}), "");
}

}  // namespace
}  // namespace jetd
