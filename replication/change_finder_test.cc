// SPDX-License-Identifier: Apache-2.0
#include "replication/change_finder.h"

#include <string>

#include "base/strings.h"
#include "gtest/gtest.h"
#include "replication/fold_harness.h"

namespace jetd::replication {
namespace {

constexpr char kKey[] = "/registry/namespaces/web";
constexpr char kLives[] = R"({"metadata":{"name":"web"}})";
constexpr char kTerminating[] =
    R"({"metadata":{"name":"web","deletionTimestamp":"2026-11-20T15:10:00Z"}})";
constexpr char kFinalized[] =
    R"({"metadata":{"name":"web","deletionTimestamp":"2026-11-20T15:10:00Z"},"spec":{}})";

class ChangeFinderTest : public testing::Test {
 protected:
  // The revision, or why there is none.
  std::string Found(Point::Kind kind, const std::string& key = kKey) {
    std::vector<Point> points = {{.kind = kind, .key = key}};
    ChangeFinder finder(points);
    for (const StreamTransaction& transaction : history_.transactions) finder.Add(transaction);
    const absl::Status status = finder.Resolve(&points);
    return status.ok() ? ToText(points.front()) : std::string(MessageOf(status));
  }
  std::string Deletion() { return Found(Point::Kind::kBeforeDeletion); }
  std::string Change() { return Found(Point::Kind::kBeforeChange); }

  FakeHistory history_;
};

// As a kube-apiserver deletes a namespace, and as it is brought back.
TEST_F(ChangeFinderTest, ANamespaceIsDeletedInSteps) {
  history_.Put(kKey, kLives);  // 2
  EXPECT_EQ(Deletion(), Cat("the stream knows of no deletion of ", kKey));
  history_.Put("/registry/pods/web/a", kLives);        // 3
  history_.Put(kKey, kTerminating);                    // 4
  history_.Put("/registry/pods/web/a", kTerminating);  // 5
  EXPECT_EQ(Deletion(), "revision 3");
  history_.Delete("/registry/pods/web/a");  // 6
  history_.Put(kKey, kFinalized);           // 7
  EXPECT_EQ(Deletion(), "revision 3");
  EXPECT_EQ(Change(), "revision 6");
  history_.Delete(kKey);  // 8
  EXPECT_EQ(Deletion(), "revision 3");
  EXPECT_EQ(Change(), "revision 7");
  // Back again, half way and in the end: the same moment.
  history_.Put(kKey, kLives);  // 9
  EXPECT_EQ(Deletion(), "revision 3");
  history_.Put("/registry/pods/web/a", kLives);  // 10
  EXPECT_EQ(Deletion(), "revision 3");
  EXPECT_EQ(Change(), "revision 8");
  // A deletion that is taken back while it goes on, and one that follows.
  history_.Put(kKey, kTerminating);  // 11
  EXPECT_EQ(Deletion(), "revision 10");
  history_.Put(kKey, kLives);  // 12
  EXPECT_EQ(Deletion(), "revision 10");
  history_.Delete(kKey);  // 13: at once
  EXPECT_EQ(Deletion(), "revision 12");
}

TEST_F(ChangeFinderTest, WhatCannotBeReadIsSaid) {
  EXPECT_EQ(Deletion(), Cat("the stream knows of no change of ", kKey));
  EXPECT_EQ(Change(), Cat("the stream knows of no change of ", kKey));
  const auto unknown = [](int revision, const char* encoding) {
    return Cat("where the deletion of ", kKey, " began cannot be told: its value of revision ",
               revision, " is no object of Kubernetes that can be read (", encoding,
               "); see jetctl history, and give a revision");
  };
  history_.Put(kKey, "k8s:enc:aescbc:v1:key1:x");  // 2
  EXPECT_EQ(Deletion(), unknown(2, "encrypted"));
  history_.Delete(kKey);  // 3
  EXPECT_EQ(Deletion(), unknown(2, "encrypted"));
  EXPECT_EQ(Change(), "revision 2");
  // Of a later life all can be read.
  history_.Put(kKey, kLives);        // 4
  history_.Put(kKey, kTerminating);  // 5
  EXPECT_EQ(Deletion(), "revision 4");
  // What comes behind the beginning need not be read; then it may have begun anew.
  history_.Put(kKey, "ns");  // 6
  history_.Delete(kKey);     // 7
  EXPECT_EQ(Deletion(), "revision 4");
  history_.Put(kKey, "ns");  // 8
  EXPECT_EQ(Deletion(), unknown(8, "bytes"));
  history_.Put(kKey, kTerminating);  // 9
  EXPECT_EQ(Deletion(), unknown(8, "bytes"));
}

TEST_F(ChangeFinderTest, WhatDoesNotCountIsNoChange) {
  history_.Put(kKey, kLives);  // 2
  history_.Delete(kKey);       // 3
  history_.transactions.back().counts = false;
  EXPECT_EQ(Change(), "revision 1");
  EXPECT_EQ(Deletion(), Cat("the stream knows of no deletion of ", kKey));
}

}  // namespace
}  // namespace jetd::replication
