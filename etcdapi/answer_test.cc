// SPDX-License-Identifier: Apache-2.0
//
// What is spliced by hand must equal, byte for byte, what protobuf's own classes write.
#include "etcdapi/answer.h"

#include <functional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "base/etcdpb/rpc.pb.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using revision::KvBlock;
using revision::KvRef;
using revision::OpResult;

constexpr int kRounds = 2000;

std::string BytesOf(const rpc::Message& message) { return message.Flatten(); }

// Makes results of every shape, and the same as messages of generated code.
class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  int64_t Number() {
    switch (Upto(4)) {
      case 0:
        return 0;
      case 1:
        return static_cast<int64_t>(Upto(200));
      case 2:
        return static_cast<int64_t>(random_());
      default:
        return -static_cast<int64_t>(random_() >> 1U);
    }
  }
  uint64_t Upto(uint64_t n) { return random_() % n; }
  bool Coin() { return Upto(2) == 1; }
  std::string Bytes(size_t max) {
    std::string bytes(Upto(max + 1), '\0');
    for (char& c : bytes) c = static_cast<char>(random_());
    return bytes;
  }
  // Sizes around what is copied and what is spliced.
  std::string Value() { return Upto(8) == 0 ? Bytes(40'000) : Bytes(300); }

  HeaderIds Ids(etcdserverpb::ResponseHeader* header) {
    HeaderIds ids{.cluster_id = random_(), .member_id = random_(), .term = Term(Upto(3))};
    header->set_cluster_id(ids.cluster_id);
    header->set_member_id(ids.member_id);
    header->set_raft_term(ids.term.value());
    return ids;
  }
  KvRef Kv(mvccpb::KeyValue* message) {
    KvBlock::Fields fields;
    const std::string key = Bytes(60) + "k";
    const std::string value = Value();
    fields.tombstone = Upto(5) == 0;
    fields.key = key;
    fields.value = fields.tombstone ? std::string_view() : value;
    fields.mod.main = Revision(static_cast<int64_t>(1 + Upto(1'000'000)));
    message->set_key(key);
    message->set_mod_revision(fields.mod.main.value());
    if (!fields.tombstone) {
      fields.create_revision = Revision(static_cast<int64_t>(1 + Upto(1'000'000)));
      fields.version = static_cast<int64_t>(1 + Upto(500));
      fields.lease = LeaseId(Coin() ? 0 : Number());
      message->set_value(value);
      message->set_create_revision(fields.create_revision.value());
      message->set_version(fields.version);
      message->set_lease(fields.lease.value());
    }
    return KvBlock::Make(fields);
  }
  revision::RangeResult Range(etcdserverpb::RangeResponse* message) {
    revision::RangeResult result;
    result.revision = Revision(Number());
    message->mutable_header()->set_revision(result.revision.value());
    result.keys_only = Coin();
    for (uint64_t n = Upto(20); n > 0; --n) {
      auto* kv = message->add_kvs();
      result.kvs.push_back(Kv(kv));
      if (result.keys_only) kv->clear_value();
    }
    result.count = Number();
    message->set_count(result.count);
    result.more = Coin();
    message->set_more(result.more);
    return result;
  }
  revision::PutResult Put(etcdserverpb::PutResponse* message) {
    revision::PutResult result;
    result.revision = Revision(Number());
    message->mutable_header()->set_revision(result.revision.value());
    if (Coin()) result.prev = Kv(message->mutable_prev_kv());
    return result;
  }
  revision::DeleteResult Delete(etcdserverpb::DeleteRangeResponse* message) {
    revision::DeleteResult result;
    result.revision = Revision(Number());
    message->mutable_header()->set_revision(result.revision.value());
    result.deleted = Number();
    message->set_deleted(result.deleted);
    for (uint64_t n = Upto(5); n > 0; --n) result.prev_kvs.push_back(Kv(message->add_prev_kvs()));
    return result;
  }
  revision::TxnResult Txn(etcdserverpb::TxnResponse* message, int depth) {
    revision::TxnResult result;
    result.revision = Revision(Number());
    message->mutable_header()->set_revision(result.revision.value());
    result.succeeded = Coin();
    message->set_succeeded(result.succeeded);
    for (uint64_t n = Upto(5); n > 0; --n) {
      result.responses.push_back(Op(message->add_responses(), depth));
    }
    return result;
  }

 private:
  OpResult Op(etcdserverpb::ResponseOp* message, int depth) {
    switch (Upto(depth > 0 ? 4 : 3)) {
      case 0:
        return {Range(message->mutable_response_range())};
      case 1:
        return {Put(message->mutable_response_put())};
      case 2:
        return {Delete(message->mutable_response_delete_range())};
      default:
        return {Txn(message->mutable_response_txn(), depth - 1)};
    }
  }

  std::mt19937_64 random_;
};

TEST(AnswerTest, RangeEqualsProtobuf) {
  Generator make(1);
  for (int i = 0; i < kRounds; ++i) {
    etcdserverpb::RangeResponse expected;
    const auto result = make.Range(&expected);
    const HeaderIds ids = make.Ids(expected.mutable_header());
    ASSERT_EQ(BytesOf(EncodeRange(ids, result)), expected.SerializeAsString()) << "round " << i;
  }
}

TEST(AnswerTest, PutAndDeleteEqualProtobuf) {
  Generator make(2);
  for (int i = 0; i < kRounds; ++i) {
    etcdserverpb::PutResponse put;
    const auto put_result = make.Put(&put);
    const HeaderIds put_ids = make.Ids(put.mutable_header());
    ASSERT_EQ(BytesOf(EncodePut(put_ids, put_result)), put.SerializeAsString()) << "round " << i;
    etcdserverpb::DeleteRangeResponse del;
    const auto delete_result = make.Delete(&del);
    const HeaderIds delete_ids = make.Ids(del.mutable_header());
    ASSERT_EQ(BytesOf(EncodeDelete(delete_ids, delete_result)), del.SerializeAsString())
        << "round " << i;
  }
}

TEST(AnswerTest, TxnEqualsProtobuf) {
  Generator make(3);
  for (int i = 0; i < kRounds / 4; ++i) {
    etcdserverpb::TxnResponse expected;
    const auto result = make.Txn(&expected, 4);
    const HeaderIds ids = make.Ids(expected.mutable_header());
    ASSERT_EQ(BytesOf(EncodeTxn(ids, result)), expected.SerializeAsString()) << "round " << i;
  }
}

TEST(AnswerTest, RangePiecesEqualProtobuf) {
  Generator make(4);
  for (int i = 0; i < kRounds / 4; ++i) {
    etcdserverpb::RangeStreamResponse expected;
    const auto result = make.Range(expected.mutable_range_response());
    const HeaderIds ids = make.Ids(expected.mutable_range_response()->mutable_header());
    ASSERT_EQ(BytesOf(EncodeRangePiece(ids, result, Piece::kLast)), expected.SerializeAsString());
    expected.mutable_range_response()->clear_header();
    expected.mutable_range_response()->clear_count();
    expected.mutable_range_response()->clear_more();
    ASSERT_EQ(BytesOf(EncodeRangePiece(ids, result, Piece::kMore)), expected.SerializeAsString());
  }
}

TEST(AnswerTest, WatchEqualsProtobuf) {
  Generator make(5);
  for (int i = 0; i < kRounds; ++i) {
    etcdserverpb::WatchResponse expected;
    watch::Response response;
    const HeaderIds ids = make.Ids(expected.mutable_header());
    response.revision = Revision(make.Number());
    expected.mutable_header()->set_revision(response.revision.value());
    response.watch_id = WatchId(make.Coin() ? -1 : make.Number());
    expected.set_watch_id(response.watch_id.value());
    response.created = make.Coin();
    expected.set_created(response.created);
    response.canceled = make.Coin();
    expected.set_canceled(response.canceled);
    response.fragment = make.Coin();
    expected.set_fragment(response.fragment);
    response.compact_revision = Revision(make.Number());
    expected.set_compact_revision(response.compact_revision.value());
    if (make.Coin()) response.cancel_reason = "because";
    expected.set_cancel_reason(response.cancel_reason);
    for (uint64_t n = make.Upto(10); n > 0; --n) {
      auto* event = expected.add_events();
      revision::Change change;
      change.kv = make.Kv(event->mutable_kv());
      if (change.kv->tombstone()) event->set_type(mvccpb::Event::DELETE);
      if (make.Coin()) change.prev = make.Kv(event->mutable_prev_kv());
      response.events.push_back(std::move(change));
    }
    ASSERT_EQ(BytesOf(EncodeWatch(ids, response)), expected.SerializeAsString()) << "round " << i;
  }
}

// A spliced value outlives the store's own reference, and is let go of with the answer.
TEST(AnswerTest, AnswersHoldWhatTheyReferTo) {
  mvccpb::KeyValue message;
  message.set_key("k");
  message.set_value(std::string(100'000, 'v'));
  message.set_mod_revision(5);
  message.set_create_revision(5);
  message.set_version(1);
  KvBlock::Fields fields;
  fields.key = message.key();
  fields.value = message.value();
  fields.mod.main = Revision(5);
  fields.create_revision = Revision(5);
  fields.version = 1;
  revision::RangeResult result;
  result.kvs.push_back(KvBlock::Make(fields));
  rpc::Message answer = EncodeRange({}, result);
  result.kvs.clear();
  etcdserverpb::RangeResponse parsed;
  ASSERT_TRUE(parsed.ParseFromString(BytesOf(answer)));
  EXPECT_EQ(parsed.kvs(0).SerializeAsString(), message.SerializeAsString());
}

}  // namespace
}  // namespace jetd::etcdapi
