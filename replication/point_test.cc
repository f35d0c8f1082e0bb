// SPDX-License-Identifier: Apache-2.0
#include "replication/point.h"

#include <string>

#include "base/strings.h"
#include "gtest/gtest.h"

namespace jetd::replication {
namespace {

constexpr int64_t kSecond = 1'000'000'000;
constexpr int64_t kNow = 1'790'000'000 * kSecond;

std::string Parsed(std::string_view text) {
  const auto point = ParsePoint(text, kNow);
  return point.ok() ? ToText(*point) : Cat("error: ", MessageOf(point.status()));
}

TEST(PointTest, Parses) {
  EXPECT_EQ(Parsed("now"), "now");
  EXPECT_EQ(Parsed("17"), "revision 17");
  EXPECT_EQ(Parsed("2026-11-20T15:10:00Z"), "2026-11-20T15:10:00Z");
  EXPECT_EQ(Parsed("2026-11-20T15:10:00.250+01:00"), "2026-11-20T14:10:00.25Z");
  EXPECT_EQ(Parsed("2026-11-20T15:10:00.123456789Z"), "2026-11-20T15:10:00.123456789Z");
  EXPECT_EQ(Parsed("before:/registry/pods/default/web"),
            "before the last change of /registry/pods/default/web");
  EXPECT_EQ(Parsed("before-deletion:/registry/namespaces/web"),
            "before the deletion of /registry/namespaces/web");
  EXPECT_EQ(Parsed("10m"), TimeText(kNow - 600 * kSecond));
  EXPECT_EQ(Parsed("-10m"), Parsed("10m"));
  EXPECT_EQ(Parsed("10m ago"), Parsed("10m"));
  EXPECT_EQ(Parsed("1h30m"), TimeText(kNow - 5'400 * kSecond));
  EXPECT_EQ(Parsed("1.5s"), TimeText(kNow - kSecond * 3 / 2));
}

TEST(PointTest, SaysWhatAPointIs) {
  for (const char* text :
       {"", "0", "-", "before:", "before-deletion:", "yesterday", "99999999999999999999", "--10m",
        "2026-11-20T15:10:00", "2026-11-20", "infinite-past", "-inf", "10 m"}) {
    const std::string parsed = Parsed(text);
    EXPECT_TRUE(parsed.starts_with(Cat("error: \"", text, "\" is no point; give a revision (17)")))
        << parsed;
  }
}

TEST(PointTest, SaysWhatCannotBeRestored) {
  Points points;
  points.current = Revision(20);
  points.compacted = Revision(12);
  points.ranges = {{.first = Revision(1), .last = Revision(4), .first_ns = kNow, .last_ns = kNow},
                   {.first = Revision(11),
                    .last = Revision(20),
                    .first_ns = kNow + kSecond / 2,
                    .last_ns = kNow + 2 * kSecond}};
  points.gaps = {{.first = Revision(5), .last = Revision(10), .why = "some are gone"}};
  for (const int64_t there : {1, 4, 11, 20}) {
    EXPECT_TRUE(points.Restorable(Revision(there)).ok()) << there;
  }
  const absl::Status gap = points.Restorable(Revision(10));
  EXPECT_TRUE(absl::IsFailedPrecondition(gap));
  EXPECT_EQ(MessageOf(gap),
            Cat("revision 10 cannot be read any more: of revisions 5 to 10 some are gone; what "
                "can: revisions 1 to 4 (",
                TimeText(kNow), " to ", TimeText(kNow), "), revisions 11 to 20 (",
                TimeText(kNow + kSecond / 2), " to ", TimeText(kNow + 2 * kSecond), ")"));
  const absl::Status future = points.Restorable(Revision(21));
  EXPECT_TRUE(absl::IsOutOfRange(future));
  EXPECT_EQ(MessageOf(future), "revision 21 is in the future: the newest is 20");
  points.undecided = true;
  EXPECT_NE(MessageOf(points.Restorable(Revision(21))).find("is not decided"),
            std::string_view::npos);
  EXPECT_NE(MessageOf(points.Restorable(Revision(22))).find("in the future"),
            std::string_view::npos);
  points.damage = absl::InternalError("a hole");
  EXPECT_TRUE(absl::IsDataLoss(points.Restorable(Revision(21))));
  EXPECT_TRUE(points.Restorable(Revision(20)).ok());
}

}  // namespace
}  // namespace jetd::replication
