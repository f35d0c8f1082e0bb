// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/codec.h"

#include <set>
#include <string>

#include "conformance/history/model.h"
#include "conformance/history/planner.h"
#include "gtest/gtest.h"

namespace jetd::conformance::history {
namespace {

TEST(KeySpaceTest, NamesAreInTheOrderOfNumbers) {
  const KeySpace keys(120, 4);
  for (KeyId key = 0; key < keys.size(); ++key) {
    EXPECT_EQ(keys.Find(keys.Name(key)), key);
    if (key > 0) {
      EXPECT_LT(keys.Name(key - 1), keys.Name(key));
    }
  }
  for (const char* name : {"", "/history/g0120/k0", "/history/g0000/k4", "/history/g0000/k",
                           "/histary/g0000/k1", "/history/g000x/k1", "/history/g0000/k1/"}) {
    EXPECT_FALSE(keys.Find(name).has_value()) << name;
  }
}

TEST(KeySpaceTest, AValueThatIsNotWholeIsStrange) {
  for (uint64_t number = 0; number < 2'000; ++number) {
    const ValueId value = MakeValueId(3, number, 1);
    std::string bytes = ValueBytes(value);
    EXPECT_EQ(ValueOf(bytes), value);
    bytes.pop_back();
    EXPECT_EQ(ValueOf(bytes), kStrange);
    bytes += "??";
    EXPECT_EQ(ValueOf(bytes), kStrange);
  }
  EXPECT_EQ(ValueOf(""), kStrange);
  EXPECT_EQ(ValueOf("0000000000000000"), kStrange);
}

mvccpb::KeyValue Kv(const KeySpace& keys, KeyId key, ValueId value, int64_t mod) {
  mvccpb::KeyValue kv;
  kv.set_key(keys.Name(key));
  kv.set_value(ValueBytes(value));
  kv.set_create_revision(2);
  kv.set_mod_revision(mod);
  kv.set_version(3);
  return kv;
}

class CodecTest : public ::testing::Test {
 protected:
  Operation Get(KeyId first, KeyId last) {
    Operation operation;
    operation.request.success = {{.first = first, .last = last}};
    return operation;
  }
  const KeySpace keys_{2, 4};
  const ValueId value_ = MakeValueId(1, 2, 3);
};

TEST_F(CodecTest, ReadsARange) {
  pb::RangeResponse response;
  response.mutable_header()->set_revision(9);
  *response.add_kvs() = Kv(keys_, 1, value_, 5);
  response.set_count(1);
  Operation get = Get(0, 3);
  TakeAnswer(keys_, response, get);
  EXPECT_EQ(get.malformed, "");
  EXPECT_EQ(get.revision, 9);
  ASSERT_EQ(get.answers.size(), 1U);
  EXPECT_EQ(get.answers[0].kvs[0].second, (KeyState{value_, 2, 5, 3}));
}

TEST_F(CodecTest, FindsAnswersOfTheWrongShape) {
  pb::RangeResponse good;
  *good.add_kvs() = Kv(keys_, 1, value_, 5);
  *good.add_kvs() = Kv(keys_, 2, value_ + 1, 6);
  good.set_count(2);
  const auto malformed = [&](const pb::RangeResponse& response) {
    Operation get = Get(0, 3);
    TakeAnswer(keys_, response, get);
    return get.malformed;
  };
  EXPECT_EQ(malformed(good), "");
  pb::RangeResponse bad = good;
  bad.set_count(3);
  EXPECT_NE(malformed(bad), "");
  bad = good;
  bad.mutable_kvs()->SwapElements(0, 1);
  EXPECT_NE(malformed(bad), "");
  bad = good;
  bad.mutable_kvs(1)->set_key(keys_.Name(4));
  EXPECT_NE(malformed(bad), "");
  bad = good;
  *bad.mutable_kvs(1) = bad.kvs(0);
  EXPECT_NE(malformed(bad), "");
}

TEST_F(CodecTest, FindsActionsThatWereNotAnswered) {
  Operation operation;
  operation.request.txn = true;
  operation.request.success = {{.kind = Action::Kind::kPut, .value = value_}, {}};
  pb::TxnResponse response;
  response.set_succeeded(true);
  response.add_responses()->mutable_response_put();
  TakeAnswer(keys_, response, operation);
  EXPECT_NE(operation.malformed, "");
  operation.malformed.clear();
  operation.answers.clear();
  response.add_responses()->mutable_response_put();
  TakeAnswer(keys_, response, operation);
  EXPECT_NE(operation.malformed, "");
  operation.malformed.clear();
  operation.answers.clear();
  response.mutable_responses(1)->mutable_response_range();
  TakeAnswer(keys_, response, operation);
  EXPECT_EQ(operation.malformed, "");
}

// One seed, one run of requests; no two puts of it have one value, and no transaction writes a key
// twice or deletes without a put.
TEST(PlannerTest, PlansWhatTheCheckersNeed) {
  const KeySpace keys(3, 4);
  Planner planner(&keys, 7, 1);
  Planner same(&keys, 7, 1);
  State state(keys.size());
  std::set<ValueId> values;
  int64_t revision = 1;
  int failed = 0, changed = 0, transactions = 0;
  for (int i = 0; i < 20'000; ++i) {
    Operation operation;
    operation.request = planner.Next();
    EXPECT_EQ(ToTxn(keys, operation.request).SerializeAsString(),
              ToTxn(keys, same.Next()).SerializeAsString());
    for (const auto* branch : {&operation.request.success, &operation.request.failure}) {
      std::set<KeyId> written;
      bool deletes = false, puts = false;
      for (const Action& action : *branch) {
        if (action.kind == Action::Kind::kGet) continue;
        for (KeyId key = action.first; key <= action.last; ++key) {
          EXPECT_TRUE(written.insert(key).second);
        }
        deletes = deletes || action.kind == Action::Kind::kDelete;
        if (action.kind != Action::Kind::kPut) continue;
        puts = true;
        EXPECT_TRUE(values.insert(action.value).second);
      }
      EXPECT_TRUE(!operation.request.txn || !deletes || puts);
    }
    const Effect effect = Execute(operation.request, state, revision + 1);
    Apply(effect.changes, state);
    if (!effect.changes.empty()) ++revision;
    operation.fate = Fate::kAnswered;
    operation.revision = revision;
    operation.succeeded = effect.succeeded;
    operation.answers = effect.answers;
    planner.Learn(operation);
    same.Learn(operation);
    transactions += operation.request.txn ? 1 : 0;
    failed += effect.succeeded ? 0 : 1;
    changed += effect.changes.empty() ? 0 : 1;
  }
  EXPECT_GT(transactions, 5'000);
  EXPECT_GT(failed, 300);
  EXPECT_GT(changed, 8'000);
}

}  // namespace
}  // namespace jetd::conformance::history
