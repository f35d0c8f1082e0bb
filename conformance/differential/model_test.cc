// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/model.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace jetd::conformance::differential {
namespace {

template <typename Response>
Answer Ok(Response response) {
  return {absl::OkStatus(), std::make_unique<Response>(std::move(response))};
}

class ModelTest : public testing::Test {
 protected:
  void Put(const std::string& key, int64_t lease = 0) {
    pb::PutRequest put;
    put.set_key(key);
    put.set_value("v");
    put.set_lease(lease);
    pb::PutResponse response;
    response.mutable_header()->set_revision(model_.revision() + 1);
    model_.Apply({.call = put}, Ok(response));
  }
  void Delete(const std::string& key, const std::string& end, int64_t revision) {
    pb::DeleteRangeRequest remove;
    remove.set_key(key);
    remove.set_range_end(end);
    pb::DeleteRangeResponse response;
    response.mutable_header()->set_revision(revision);
    model_.Apply({.call = remove}, Ok(response));
  }
  void Watch(int64_t id, const std::string& key, const std::string& end, int64_t start) {
    WatchControl control{.stream = 0, .request = {}};
    auto& create = *control.request.mutable_create_request();
    create.set_key(key);
    create.set_range_end(end);
    create.set_start_revision(start);
    pb::WatchResponse response;
    response.set_watch_id(id);
    response.set_created(true);
    model_.Apply({.call = control}, Ok(response));
  }
  void Compact(int64_t revision) {
    pb::CompactionRequest compact;
    compact.set_revision(revision);
    model_.Apply({.call = compact}, Ok(pb::CompactionResponse()));
  }
  const Model::Watch& WatchOf(int64_t id) { return model_.streams().at(0).watches.at(id); }

  Model model_;
};

TEST_F(ModelTest, KnowsRangesAsEtcdWritesThem) {
  const std::string nul(1, '\0');
  EXPECT_TRUE(InRange("a", "a", ""));
  EXPECT_FALSE(InRange("ab", "a", ""));
  EXPECT_TRUE(InRange("ab", "a", "b"));
  EXPECT_FALSE(InRange("b", "a", "b"));
  EXPECT_TRUE(InRange("z", "a", nul));
  EXPECT_FALSE(InRange("a", "b", "a"));
}

TEST_F(ModelTest, CountsVersionsAndStartsAnewAfterADelete) {
  Put("a");
  Put("a");
  EXPECT_EQ(model_.keys().at("a").version, 2);
  EXPECT_EQ(model_.keys().at("a").create, 2);
  Delete("a", "", 4);
  EXPECT_TRUE(model_.keys().empty());
  Put("a");
  EXPECT_EQ(model_.keys().at("a").version, 1);
  EXPECT_EQ(model_.keys().at("a").create, 5);
  EXPECT_EQ(model_.changes(), 4);
}

TEST_F(ModelTest, ADeleteOfNothingChangesNothing) {
  Delete("a", "", 1);
  EXPECT_EQ(model_.changes(), 0);
}

TEST_F(ModelTest, ExpectsEventsOfThePastAndOfTheFuture) {
  Put("a");      // 2
  Put("b");      // 3
  Put("other");  // 4
  Watch(0, "a", "c", 3);
  EXPECT_EQ(WatchOf(0).expected_events, 1);
  Delete("a", "c", 5);
  EXPECT_EQ(WatchOf(0).expected_events, 3);
  EXPECT_FALSE(WatchOf(0).unsynced);
  Watch(1, "nothing", "", 2);
  EXPECT_TRUE(WatchOf(1).unsynced);
}

TEST_F(ModelTest, AWatchBelowTheCompactedRevisionIsCanceled) {
  for (int i = 0; i < 5; ++i) Put("a");  // 2 to 6
  Compact(4);
  Watch(0, "a", "", 3);
  EXPECT_EQ(WatchOf(0).expected_compacted, 1);
  EXPECT_EQ(WatchOf(0).expected_events, 0);
  Watch(1, "a", "", 4);
  EXPECT_EQ(WatchOf(1).expected_compacted, 0);
  EXPECT_EQ(WatchOf(1).expected_events, 3);
}

TEST_F(ModelTest, TheBranchThatWasTakenCounts) {
  pb::TxnRequest txn;
  txn.add_success()->mutable_request_put()->set_key("yes");
  txn.add_failure()->mutable_request_put()->set_key("no");
  pb::TxnResponse response;
  response.mutable_header()->set_revision(2);
  response.add_responses()->mutable_response_put();
  model_.Apply({.call = txn}, Ok(response));
  EXPECT_TRUE(model_.keys().contains("no"));
  EXPECT_FALSE(model_.keys().contains("yes"));
}

TEST_F(ModelTest, ALeaseTakesItsKeysAlong) {
  pb::LeaseGrantRequest grant;
  grant.set_id(7);
  pb::LeaseGrantResponse granted;
  granted.set_id(7);
  granted.set_ttl(10);
  model_.Apply({.call = grant}, Ok(granted));
  Put("a", 7);
  Put("b", 7);
  Put("b");  // no longer attached
  Watch(0, "a", "z", 0);
  pb::LeaseRevokeRequest revoke;
  revoke.set_id(7);
  model_.Apply({.call = revoke}, Ok(pb::LeaseRevokeResponse()));
  EXPECT_EQ(model_.keys().size(), 1U);
  EXPECT_EQ(model_.revision(), 5);
  EXPECT_EQ(WatchOf(0).expected_events, 1);
}

TEST_F(ModelTest, ErrorsChangeNothing) {
  pb::PutRequest put;
  put.set_key("a");
  model_.Apply({.call = put}, {absl::InvalidArgumentError("no"), nullptr});
  EXPECT_TRUE(model_.keys().empty());
}

}  // namespace
}  // namespace jetd::conformance::differential
