// SPDX-License-Identifier: Apache-2.0
#include "replication/mirror_attendant.h"

#include <atomic>
#include <future>
#include <string_view>

#include "gtest/gtest.h"
#include "replication/mirrored_bucket.h"

namespace jetd::replication {
namespace {

class MirrorAttendantTest : public MirroredBucketTest {
 protected:
  [[nodiscard]] AttendOptions Options() {
    return {.mirror = Leaf(),
            .say =
                [this](std::string_view line) {
                  if (line.starts_with("the mirror's server asks")) asked_ = true;
                  if (line.starts_with("the origin answers")) asked_again_ = true;
                },
            .interrupted = &over_};
  }

  std::atomic<bool> over_{false}, asked_{false}, asked_again_{false};
};

// The origin is away for as long as it takes the mirror's server to ask for it, in vain.
TEST_F(MirrorAttendantTest, AsksAgainWhatWentNowhere) {
  AddMirror();
  const AttendOptions options = Options();
  auto attendant = std::async(std::launch::async, [&] { return AttendMirror(options); });
  ASSERT_TRUE(WaitUntil([&] { return Ask("dr", "STREAM.INFO").ok(); }));
  domains_->hub().Kill();
  EXPECT_TRUE(WaitUntil([&] { return asked_.load(); }));
  domains_->hub().Restart();
  EXPECT_TRUE(WaitUntil([&] { return asked_again_.load(); }));
  over_ = true;
  EXPECT_TRUE(attendant.get().ok());
  writer_->Put("/late", "v");
  writer_->Flush();
  mirrors_ = Mirrors::Open(Leaf()).value();
  EXPECT_TRUE(WaitForAll());
}

TEST_F(MirrorAttendantTest, StandsBesideMirrorsAlone) {
  AttendOptions options = Options();
  options.mirror = Hub();
  EXPECT_TRUE(absl::IsFailedPrecondition(AttendMirror(options)));
  options.mirror = Leaf();
  EXPECT_TRUE(absl::IsNotFound(AttendMirror(options)));
}

}  // namespace
}  // namespace jetd::replication
