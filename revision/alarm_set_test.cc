// SPDX-License-Identifier: Apache-2.0
#include "revision/alarm_set.h"

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "gtest/gtest.h"

namespace jetd::revision {
namespace {

using jetstream::Alarm;
using jetstream::AlarmType;

const Op kRange{RangeOp{}};
const Op kPut{PutOp{.key = "key", .value = "value"}};
const Op kDelete{DeleteOp{}};

Op Txn(std::vector<Op> success, std::vector<Op> failure = {}) {
  TxnOp txn;
  txn.success = std::move(success);
  txn.failure = std::move(failure);
  return Op{std::move(txn)};
}

TEST(AlarmSetTest, RaisesAndDisarms) {
  AlarmSet alarms;
  const Alarm no_space{AlarmType::kNoSpace, 7}, corrupt{AlarmType::kCorrupt, 1};
  EXPECT_TRUE(alarms.Raise(corrupt));
  EXPECT_TRUE(alarms.Raise(no_space));
  EXPECT_FALSE(alarms.Raise(no_space));
  EXPECT_EQ(alarms.all(), (std::vector<Alarm>{no_space, corrupt}));
  EXPECT_FALSE(alarms.Disarm({AlarmType::kNoSpace, 8}));
  EXPECT_TRUE(alarms.Has(AlarmType::kNoSpace));
  EXPECT_TRUE(alarms.Disarm(no_space));
  EXPECT_FALSE(alarms.Has(AlarmType::kNoSpace));
  EXPECT_TRUE(alarms.Has(AlarmType::kCorrupt));
  EXPECT_EQ(AlarmSet({corrupt, no_space, corrupt}).all(), (std::vector<Alarm>{no_space, corrupt}));
}

TEST(AlarmSetTest, ChargesAsEtcdDoes) {
  EXPECT_EQ(CostOf(kRange), 0U);
  EXPECT_EQ(CostOf(kDelete), 0U);
  EXPECT_EQ(CostOf(kPut), 256U + 8U);
  EXPECT_EQ(CostOf(Txn({kRange, kDelete})), 0U);
  EXPECT_EQ(CostOf(Txn({kPut}, {kPut, kRange, kPut})), 2 * CostOf(kPut));
  EXPECT_EQ(CostOf(Txn({Txn({kPut})})), 0U) << "etcd does not look into it";
}

TEST(AlarmSetTest, RefusesWhatEtcdRefuses) {
  struct Case {
    const char* what;
    Op op;
    Errc under_no_space, under_corrupt;
  };
  constexpr Errc kOk = Errc::kNone;
  const AlarmSet none, no_space({{AlarmType::kNoSpace, 7}}), corrupt({{AlarmType::kCorrupt, 0}});
  const AlarmSet both({{AlarmType::kNoSpace, 7}, {AlarmType::kCorrupt, 0}});
  for (const Case& c : {
           Case{"range", kRange, kOk, kOk},
           Case{"put", kPut, Errc::kNoSpace, Errc::kCorrupt},
           Case{"delete", kDelete, kOk, Errc::kCorrupt},
           Case{"empty", Txn({}), kOk, kOk},
           Case{"ranges", Txn({kRange}, {kRange}), kOk, kOk},
           Case{"ranges within", Txn({Txn({kRange})}), kOk, Errc::kCorrupt},
           Case{"a put on failure", Txn({kRange}, {kPut}), Errc::kNoSpace, Errc::kCorrupt},
           Case{"a put within", Txn({Txn({kPut})}), kOk, Errc::kCorrupt},
           Case{"deletes", Txn({kDelete}), kOk, Errc::kCorrupt},
       }) {
    EXPECT_TRUE(none.RefusalOf(c.op).ok()) << c.what;
    EXPECT_EQ(GetErrc(no_space.RefusalOf(c.op)), c.under_no_space) << c.what;
    EXPECT_EQ(GetErrc(corrupt.RefusalOf(c.op)), c.under_corrupt) << c.what;
    EXPECT_EQ(GetErrc(both.RefusalOf(c.op)), c.under_corrupt) << c.what;
  }
  EXPECT_TRUE(none.RefusalOfGrant().ok());
  EXPECT_EQ(GetErrc(no_space.RefusalOfGrant()), Errc::kNoSpace);
  EXPECT_EQ(GetErrc(both.RefusalOfGrant()), Errc::kCorrupt);
  EXPECT_TRUE(no_space.RefusalOfRemoval().ok());
  EXPECT_EQ(GetErrc(corrupt.RefusalOfRemoval()), Errc::kCorrupt);
}

}  // namespace
}  // namespace jetd::revision
