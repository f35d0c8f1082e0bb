// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/compare.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::conformance::differential {
namespace {

template <typename Response>
Answer Ok(const Response& response) {
  return {absl::OkStatus(), std::make_unique<Response>(response)};
}
Answer Error(absl::Status status) { return {std::move(status), nullptr}; }

// A sorted answer: each key with a version.
pb::RangeResponse Versions(const std::vector<std::pair<std::string, int64_t>>& keys, int64_t count,
                           bool more) {
  pb::RangeResponse response;
  for (const auto& [key, version] : keys) {
    auto& kv = *response.add_kvs();
    kv.set_key(key);
    kv.set_version(version);
  }
  response.set_count(count);
  response.set_more(more);
  return response;
}

Step SortedByVersion() {
  pb::RangeRequest range;
  range.set_key("a");
  range.set_sort_target(pb::RangeRequest::VERSION);
  return {.call = range};
}

TEST(DifferenceTest, ErrorsAreComparedToTheLetter) {
  const Step step{.call = pb::PutRequest()};
  EXPECT_EQ(Difference(step, Error(absl::NotFoundError("a")), Error(absl::NotFoundError("a"))), "");
  EXPECT_NE(Difference(step, Error(absl::NotFoundError("a")), Error(absl::NotFoundError("b"))), "");
  EXPECT_NE(Difference(step, Error(absl::NotFoundError("a")), Error(absl::AbortedError("a"))), "");
  EXPECT_NE(Difference(step, Error(absl::NotFoundError("a")), Ok(pb::PutResponse())), "");
}

TEST(DifferenceTest, TheLibrarysOwnTextsAreNot) {
  const Step step{.call = RawCall{"/a/b", ""}};
  const Answer go = Error(absl::UnimplementedError("unknown method b for service a"));
  EXPECT_EQ(Difference(step, go, Error(absl::UnimplementedError(""))), "");
  EXPECT_NE(Difference(step, go, Error(absl::InternalError(""))), "");
  EXPECT_NE(Difference(step, Error(absl::InvalidArgumentError("etcdserver: a")),
                       Error(absl::InvalidArgumentError("etcdserver: b"))),
            "");
}

TEST(DifferenceTest, RevisionsAreCompared) {
  pb::PutResponse a, b;
  a.mutable_header()->set_revision(2);
  b.mutable_header()->set_revision(3);
  EXPECT_NE(Difference({.call = pb::PutRequest()}, Ok(a), Ok(b)), "");
}

TEST(DifferenceTest, AMissingInnerHeaderIsADifference) {
  pb::TxnResponse a, b;
  a.add_responses()->mutable_response_put()->mutable_header()->set_revision(2);
  b.add_responses()->mutable_response_put();
  EXPECT_NE(Difference({.call = pb::TxnRequest()}, Ok(a), Ok(b)), "");
}

TEST(DifferenceTest, TiesOfALongSortMayStandInAnyOrder) {
  const auto a = Versions({{"a", 1}, {"b", 1}, {"c", 2}}, 20, false);
  const auto b = Versions({{"b", 1}, {"a", 1}, {"c", 2}}, 20, false);
  EXPECT_EQ(Difference(SortedByVersion(), Ok(a), Ok(b)), "");
  // But not groups among each other,
  const auto c = Versions({{"c", 2}, {"a", 1}, {"b", 1}}, 20, false);
  EXPECT_NE(Difference(SortedByVersion(), Ok(a), Ok(c)), "");
  // nor in a sort that is stable in etcd,
  const auto d = Versions({{"a", 1}, {"b", 1}, {"c", 2}}, 3, false);
  const auto e = Versions({{"b", 1}, {"a", 1}, {"c", 2}}, 3, false);
  EXPECT_NE(Difference(SortedByVersion(), Ok(d), Ok(e)), "");
  // nor may a whole group hold another key.
  const auto f = Versions({{"a", 1}, {"x", 1}, {"c", 2}}, 20, false);
  EXPECT_NE(Difference(SortedByVersion(), Ok(a), Ok(f)), "");
}

TEST(DifferenceTest, WhereALimitCutsTiesAnyOfThemMayBeShown) {
  const auto a = Versions({{"a", 1}, {"b", 2}, {"c", 2}}, 20, true);
  const auto b = Versions({{"a", 1}, {"b", 2}, {"x", 2}}, 20, true);
  EXPECT_EQ(Difference(SortedByVersion(), Ok(a), Ok(b)), "");
  const auto c = Versions({{"a", 1}, {"b", 2}, {"x", 3}}, 20, true);
  EXPECT_NE(Difference(SortedByVersion(), Ok(a), Ok(c)), "");
}

TEST(DifferenceTest, TimeLeftMayDifferALittle) {
  pb::LeaseTimeToLiveResponse a, b;
  a.set_ttl(100);
  b.set_ttl(98);
  a.add_keys("x");
  a.add_keys("y");
  b.add_keys("y");
  b.add_keys("x");
  const Step step{.call = pb::LeaseTimeToLiveRequest()};
  EXPECT_EQ(Difference(step, Ok(a), Ok(b)), "");
  b.set_ttl(90);
  EXPECT_NE(Difference(step, Ok(a), Ok(b)), "");
  // -1 means that there is no lease, which is not a time.
  a.set_ttl(0);
  b.set_ttl(-1);
  EXPECT_NE(Difference(step, Ok(a), Ok(b)), "");
}

TEST(DifferenceTest, HashesCountUnlessToldOtherwise) {
  pb::HashKVResponse a, b;
  a.set_hash(1);
  b.set_hash(2);
  const Step step{.call = pb::HashKVRequest()};
  EXPECT_NE(Difference(step, Ok(a), Ok(b)), "");
  EXPECT_EQ(Difference(step, Ok(a), Ok(b), {.hashes = false}), "");
}

TEST(DifferenceTest, AStatusIsJudgedWhereItCannotBeCompared) {
  pb::StatusResponse good;
  good.set_version("3.5.30");
  good.set_dbsize(1);
  good.set_dbsizeinuse(1);
  good.set_leader(1);
  good.set_raftterm(1);
  good.set_raftindex(1);
  const Step step{.call = pb::StatusRequest()};
  pb::StatusResponse other = good;
  other.set_version("3.5.13");
  other.set_dbsize(99);
  EXPECT_EQ(Difference(step, Ok(good), Ok(other)), "");
  other.set_version("3.5.2");
  EXPECT_NE(Difference(step, Ok(good), Ok(other)), "");
  other = good;
  other.set_dbsize(0);
  EXPECT_NE(Difference(step, Ok(good), Ok(other)), "");
  other = good;
  other.add_errors("x");
  EXPECT_NE(Difference(step, Ok(good), Ok(other)), "");
}

TEST(DifferenceTest, WhatOnlyTheServerIsAskedHasAnExpectedAnswer) {
  Step step{.call = pb::RangeRequest()};
  step.sides = Step::Sides::kServerOnly;
  step.expected = absl::InvalidArgumentError("why");
  EXPECT_EQ(Difference(step, {}, Error(absl::InvalidArgumentError("why"))), "");
  EXPECT_NE(Difference(step, {}, Error(absl::InvalidArgumentError("what"))), "");
  EXPECT_NE(Difference(step, {}, Ok(pb::RangeResponse())), "");
}

}  // namespace
}  // namespace jetd::conformance::differential
