// SPDX-License-Identifier: Apache-2.0
// Broken connections, Close, and the hint of a foreign term.
#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "jetstream/log_contract_client.h"
#include "jetstream/log_contract_test.h"

namespace jetd::jetstream {
namespace {

using contract::Client;
using contract::Copy;
using contract::Seqs;
using contract::UpTo;
using testing::IsEmpty;

// --- Connections ---------------------------------------------------------------------------------

TEST_P(LogContractTest, ABreakAnswersEverythingAskedAndNothingAppended) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 10));
  ASSERT_TRUE(world().RunUntil([&] { return client.durable == 10; }));
  world().BreakConnection(client.log());
  for (uint64_t seq = 11; seq <= 20; ++seq) client.Append(seq, "k");
  std::optional<absl::StatusOr<StreamSeq>> barrier;
  std::optional<absl::StatusOr<StreamState>> state;
  std::optional<absl::Status> deleted;
  Client::ReadResult read;
  client.StartBarrier(&barrier);
  client.StartState(&state);
  client.StartDelete(1, &deleted);
  client.StartRead({}, &read);
  ASSERT_TRUE(world().RunUntil([&] { return client.disconnects == 1; }));
  // All of it came before OnDisconnected, or together with it: nothing is left to come.
  ASSERT_TRUE(barrier.has_value());
  EXPECT_EQ(GetErrc(barrier->status()), Errc::kUnavailable);
  ASSERT_TRUE(state.has_value());
  EXPECT_EQ(GetErrc(state->status()), Errc::kUnavailable);
  ASSERT_TRUE(deleted.has_value());
  EXPECT_EQ(GetErrc(*deleted), Errc::kUnavailable);
  ASSERT_TRUE(read.done.has_value());
  EXPECT_EQ(GetErrc(read.done->status()), Errc::kUnavailable);
  EXPECT_EQ(client.appended, UpTo(10));
  // Asked and appended while nothing is there.
  client.Append(11, "k");
  barrier.reset();
  client.StartBarrier(&barrier);
  ASSERT_TRUE(world().RunUntil([&] { return barrier.has_value(); }));
  EXPECT_EQ(GetErrc(barrier->status()), Errc::kUnavailable);
  world().RestoreConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.connects == 2; }));
  client.Barrier();
  EXPECT_EQ(client.appended, UpTo(10));
  EXPECT_THAT(client.refused, IsEmpty());
}

TEST_P(LogContractTest, AfterABreakTheTailTellsWhatLanded) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  std::map<uint64_t, std::string> acked;
  uint64_t next = 1;
  for (int round = 1; round <= 5; ++round) {
    const size_t seen = client.appended.size();
    for (uint64_t i = 0; i < 100; ++i) client.Append(next + i, "k", Cat(round, ":", next + i));
    ASSERT_TRUE(world().RunUntil([&] { return client.appended.size() >= seen + 20; }));
    world().BreakConnection(client.log());
    ASSERT_TRUE(world().RunUntil([&] { return client.disconnects == round; }));
    for (size_t i = seen; i < client.appended.size(); ++i) {
      acked[client.appended[i]] = Cat(round, ":", client.appended[i]);
    }
    world().RestoreConnection(client.log());
    ASSERT_TRUE(world().RunUntil([&] { return client.connects == round + 1; }));
    const auto tail = client.Read({.from = StreamSeq(next)});
    // Landed are the first of them, without a hole, each at its place.
    for (size_t i = 0; i < tail.records.size(); ++i) {
      ASSERT_EQ(tail.records[i].seq, StreamSeq(next + i));
      ASSERT_EQ(tail.records[i].payload, Cat(round, ":", next + i));
    }
    next = client.Barrier() + 1;
    // The chain goes on; were something still on its way, it would be refused, not lost.
    const size_t before = client.appended.size();
    ASSERT_TRUE(client.AppendMany(next, 1));
    ASSERT_EQ(client.appended.size(), before + 1);
    acked[next] = Cat(next);
    ++next;
  }
  std::map<uint64_t, std::string> stored;
  for (const Copy& record : client.Read().records) stored[record.seq.value()] = record.payload;
  for (const auto& [seq, payload] : acked) EXPECT_EQ(stored[seq], payload) << seq;
  EXPECT_EQ(stored.size(), stored.rbegin()->first);
}

TEST_P(LogContractTest, WhatWasFoundByReadingBecomesDurableOnRequest) {
  Client writer(world());
  ASSERT_TRUE(writer.Open());
  ASSERT_TRUE(writer.AppendMany(1, 10));
  Client client(world());
  ASSERT_TRUE(client.Open());
  client.RequestDurable(10);
  ASSERT_TRUE(world().RunUntil([&] { return client.durable == 10; }));
  world().BreakConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.disconnects == 1; }));
  client.durable = 0;
  world().RestoreConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.connects == 2; }));
  client.RequestDurable(10);  // again: the same answer
  EXPECT_TRUE(world().RunUntil([&] { return client.durable == 10; }));
}

TEST_P(LogContractTest, ABreakInALongReadEndsIt) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 2000));
  Client::ReadResult read;
  client.StartRead({}, &read);
  ASSERT_TRUE(world().RunUntil([&] { return !read.records.empty(); }));
  world().BreakConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.disconnects == 1; }));
  ASSERT_TRUE(read.done.has_value());
  if (!read.done->ok()) {
    EXPECT_EQ(GetErrc(read.done->status()), Errc::kUnavailable);
  } else {
    EXPECT_EQ(read.records.size(), 2000U);
  }
  world().RestoreConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.connects == 2; }));
  EXPECT_EQ(Seqs(client.Read().records), UpTo(2000));
}

TEST_P(LogContractTest, TheStreamIsTheSameAfterABreak) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  const LogInfo before = client.info;
  world().BreakConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.disconnects == 1; }));
  world().RestoreConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.connects == 2; }));
  EXPECT_EQ(client.info.created_ns, before.created_ns);
  EXPECT_EQ(client.info.bucket, before.bucket);
  EXPECT_EQ(client.info.max_payload_bytes, before.max_payload_bytes);
}

TEST_P(LogContractTest, NothingComesAfterClose) {
  Client closed(world());
  Client witness(world());
  ASSERT_TRUE(closed.Open());
  ASSERT_TRUE(witness.Open());
  for (uint64_t seq = 1; seq <= 50; ++seq) closed.Append(seq, "k");
  std::optional<absl::StatusOr<StreamSeq>> barrier;
  std::optional<absl::StatusOr<StreamState>> state;
  Client::ReadResult read;
  closed.StartBarrier(&barrier);
  closed.StartState(&state);
  closed.StartRead({}, &read);
  closed.Close();  // Client::Arrived tells on what comes now
  const uint64_t last = witness.Barrier();
  EXPECT_LE(last, 50U);
  world().AppendForeign({.subject = witness.Subject("_jetd.term")});
  ASSERT_TRUE(world().RunUntil([&] { return witness.foreign_terms > 0; }));
  EXPECT_FALSE(barrier.has_value());
  EXPECT_FALSE(state.has_value());
  EXPECT_FALSE(read.done.has_value());
  // The next process finds what landed.
  EXPECT_EQ(witness.State().last.value(), witness.Barrier());
}

// --- The hint
// --------------------------------------------------------------------------------------

TEST_P(LogContractTest, ATermRecordOfSomebodyElseIsHintedAt) {
  Client client(world());
  Client other(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(other.Open());
  client.Append(1, "_jetd.term");
  ASSERT_TRUE(world().RunUntil([&] { return client.appended.size() == 1; }));
  ASSERT_TRUE(world().RunUntil([&] { return other.foreign_terms > 0; }));
  const int own = client.foreign_terms;
  other.Append(2, "_jetd.term");
  EXPECT_TRUE(world().RunUntil([&] { return client.foreign_terms > own; }));
}

TEST_P(LogContractTest, TheHintSurvivesABreak) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  world().BreakConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.disconnects == 1; }));
  world().RestoreConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.connects == 2; }));
  const int before = client.foreign_terms;
  world().AppendForeign({.subject = client.Subject("_jetd.term"), .payload = "{}"});
  EXPECT_TRUE(world().RunUntil([&] { return client.foreign_terms > before; }));
}

}  // namespace
}  // namespace jetd::jetstream
