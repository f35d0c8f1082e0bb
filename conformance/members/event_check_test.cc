// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/event_check.h"

#include "gtest/gtest.h"

namespace jetd::conformance {
namespace {

std::vector<HistoryEvent> Events(const std::vector<int64_t>& revisions) {
  std::vector<HistoryEvent> events;
  for (const int64_t revision : revisions) {
    HistoryEvent event;
    event.revision = revision;
    event.key = "k";
    events.push_back(event);
  }
  return events;
}

history::Violations Check(const std::vector<HistoryEvent>& seen,
                          const std::vector<HistoryEvent>& other) {
  history::Violations violations;
  CheckEvents("w", 3, 6, seen, other, violations);
  return violations;
}

TEST(EventCheckTest, EveryRevisionOnceIsRight) {
  EXPECT_TRUE(Check(Events({3, 4, 5, 6}), Events({3, 4, 5, 6})).empty());
  EXPECT_TRUE(Check(Events({3, 4, 5, 6, 7}), Events({3, 4, 5, 6})).empty());
}

TEST(EventCheckTest, FindsWhatIsWrong) {
  EXPECT_EQ(Check(Events({3, 5, 6}), {}).counts().at("skipped event"), 1U);
  EXPECT_EQ(Check(Events({4, 5, 6}), {}).counts().at("skipped event"), 1U);
  EXPECT_EQ(Check(Events({3, 4, 5}), {}).counts().at("skipped event"), 1U);
  EXPECT_EQ(Check(Events({3, 4, 4, 5, 6}), {}).counts().at("repeated event"), 1U);
  auto other = Events({3, 4, 5, 6});
  other[2].value = "x";
  EXPECT_EQ(Check(Events({3, 4, 5, 6}), other).counts().at("wrong event"), 1U);
}

}  // namespace
}  // namespace jetd::conformance
