// SPDX-License-Identifier: Apache-2.0
#include "replication/version_history.h"

#include <string>
#include <vector>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "replication/fold_harness.h"

namespace jetd::replication {
namespace {

class VersionHistoryTest : public ::testing::Test {
 protected:
  std::string Versions(const std::vector<StreamTransaction>& transactions) {
    VersionHistory history(&options_);
    for (const StreamTransaction& transaction : transactions) history.Add(transaction);
    std::string text;
    for (const KeyVersion& version : history.versions()) {
      CatTo(text, text.empty() ? "" : ", ", version.key, "@", version.revision.value(), "v",
            version.version);
      if (version.missing > 0) CatTo(text, " (", version.missing, " gone)");
      if (!version.value.empty()) CatTo(text, "=", version.value);
    }
    return text;
  }

  FakeHistory history_;
  HistoryOptions options_;
};

TEST_F(VersionHistoryTest, VersionsOfAKey) {
  history_.Put("a", "1");
  history_.Put("ab", "x");
  history_.Put("a", "2");
  history_.Delete("a");
  history_.Put("a", "3");
  options_.key = "a";
  EXPECT_EQ(Versions(history_.transactions), "a@2v1, a@4v2, a@5v0, a@6v1");
  options_.values = true;
  EXPECT_EQ(Versions(history_.transactions), "a@2v1=1, a@4v2=2, a@5v0, a@6v1=3");
  options_ = {.prefix = "a"};
  EXPECT_EQ(Versions(history_.transactions), "a@2v1, ab@3v1, a@4v2, a@5v0, a@6v1");
}

TEST_F(VersionHistoryTest, Bounds) {
  for (const int64_t time_ns : {100, 300, 200, 400}) {
    history_.time_ns = time_ns;
    history_.Put("a", "x");
  }
  options_.from = AtRevision(Revision(3));
  options_.to = AtRevision(Revision(4));
  EXPECT_EQ(Versions(history_.transactions), "a@3v2, a@4v3");
  // Revision 4 was written when 300 had been.
  options_.from = AtTime(101);
  options_.to = AtTime(300);
  EXPECT_EQ(Versions(history_.transactions), "a@3v2, a@4v3");
  options_.to = AtTime(299);
  EXPECT_EQ(Versions(history_.transactions), "");
}

TEST_F(VersionHistoryTest, WhatIsGone) {
  for (int i = 0; i < 5; ++i) history_.Put("a", "x");  // 2 to 6
  history_.Delete("a");                                // 7
  history_.Put("a", "x");                              // 8
  EXPECT_EQ(Versions(Without(history_.transactions, {1, 2, 4})),
            "a@4v3 (2 gone), a@6v5 (1 gone), a@7v0, a@8v1");
  EXPECT_EQ(Versions(Without(history_.transactions, {6})),
            "a@2v1, a@3v2, a@4v3, a@5v4, a@6v5, a@8v1 (1 gone)");
  EXPECT_EQ(Versions(Without(history_.transactions, {1, 2, 3, 4, 5})), "a@7v0 (1 gone), a@8v1");
}

}  // namespace
}  // namespace jetd::replication
