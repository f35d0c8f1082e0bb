// SPDX-License-Identifier: Apache-2.0
// Appends, barriers, reads, deletes.
#include "jetstream/log_contract_test.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "jetstream/log_contract_client.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {
namespace {

using contract::Client;
using contract::Copy;
using contract::Seqs;
using contract::UpTo;
using testing::ElementsAre;
using testing::IsEmpty;

// --- Appends and their answers -------------------------------------------------------------------

TEST_P(LogContractTest, SaysWhatItIs) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  EXPECT_FALSE(client.info.bucket.empty());
  EXPECT_EQ(client.info.subject_prefix, Cat("$KV.", client.info.bucket, "."));
  EXPECT_GE(client.info.max_subject_bytes, 1000U);
  EXPECT_GE(client.info.max_payload_bytes, size_t{1} << 20);
  EXPECT_GE(client.info.replicas, 1);
  EXPECT_GT(client.info.created_ns, 0);
  EXPECT_FALSE(client.info.server_version.empty());
}

TEST_P(LogContractTest, AnswersInTheOrderOfAppends) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 500));
  EXPECT_EQ(client.appended, UpTo(500));
  EXPECT_THAT(client.refused, IsEmpty());
  EXPECT_TRUE(world().RunUntil([&] { return client.durable == 500; }));
}

TEST_P(LogContractTest, AForeignRecordTakesOnePlaceAndNoMore) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 2));
  const std::string other = client.Subject("other");
  ASSERT_EQ(world().AppendForeign({.subject = other}), StreamSeq(3));
  ASSERT_TRUE(client.AppendMany(3, 3));
  // The stream compares numbers: 4 expected 3 before it, and there is one.
  EXPECT_EQ(client.appended, (std::vector<uint64_t>{1, 2, 4, 5}));
  EXPECT_THAT(client.refused, ElementsAre(std::pair(3, Errc::kUnavailable)));
  const auto records = client.Read().records;
  ASSERT_EQ(Seqs(records), UpTo(5));
  EXPECT_EQ(records[2].subject, other);
  EXPECT_EQ(records[3].payload, "4");
}

TEST_P(LogContractTest, AGapRefusesAllBehindIt) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 2));
  ASSERT_TRUE(client.AppendMany(4, 3));  // nobody writes 3
  EXPECT_EQ(client.appended, UpTo(2));
  EXPECT_THAT(client.refused,
              ElementsAre(std::pair(4, Errc::kUnavailable), std::pair(5, Errc::kUnavailable),
                          std::pair(6, Errc::kUnavailable)));
  ASSERT_TRUE(client.AppendMany(3, 3));
  EXPECT_EQ(client.appended, UpTo(5));
}

TEST_P(LogContractTest, AWrongPredictionIsRefusedAndHarmsNothing) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  client.Append(2, "too-high");
  client.Append(1, "right");
  client.Append(1, "taken");
  client.Append(3, "gap");
  client.Append(2, "next");
  ASSERT_TRUE(world().RunUntil([&] { return client.answers() == 5; }));
  EXPECT_THAT(client.appended, ElementsAre(1, 2));
  EXPECT_THAT(client.refused,
              ElementsAre(std::pair(2, Errc::kUnavailable), std::pair(1, Errc::kUnavailable),
                          std::pair(3, Errc::kUnavailable)));
  const auto read = client.Read();
  ASSERT_EQ(read.records.size(), 2U);
  EXPECT_EQ(read.records[0].subject, client.Subject("right"));
  EXPECT_EQ(read.records[1].subject, client.Subject("next"));
}

TEST_P(LogContractTest, OfTwoWritersOneWins) {
  Client a(world());
  Client b(world());
  ASSERT_TRUE(a.Open());
  ASSERT_TRUE(b.Open());
  EXPECT_EQ(a.info.created_ns, b.info.created_ns);
  for (uint64_t seq = 1; seq <= 50; ++seq) {
    a.Append(seq, "k", "a");
    b.Append(seq, "k", "b");
  }
  ASSERT_TRUE(world().RunUntil([&] { return a.answers() == 50 && b.answers() == 50; }));
  std::vector<uint64_t> landed = a.appended;
  landed.insert(landed.end(), b.appended.begin(), b.appended.end());
  std::sort(landed.begin(), landed.end());
  const auto read = a.Read();
  EXPECT_EQ(landed, Seqs(read.records));
  const std::set<uint64_t> of_a(a.appended.begin(), a.appended.end());
  for (const Copy& record : read.records) {
    EXPECT_EQ(record.payload, of_a.count(record.seq.value()) > 0 ? "a" : "b");
  }
}

TEST_P(LogContractTest, WithoutRoomAppendsAreRefusedUntilThereIsSome) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 3));
  world().LimitRoom(1);
  ASSERT_TRUE(client.AppendMany(4, 3));
  EXPECT_EQ(client.appended, UpTo(4));
  ASSERT_EQ(client.refused.size(), 2U);
  EXPECT_EQ(client.refused[0], std::pair(uint64_t{5}, Errc::kNoSpace));
  EXPECT_EQ(client.refused[1].first, 6U);
  client.Delete(1);
  ASSERT_TRUE(client.AppendMany(5, 1));
  EXPECT_EQ(client.appended, UpTo(5));
}

// --- Barrier -------------------------------------------------------------------------------------

TEST_P(LogContractTest, ABarrierComesBehindTheAppendsBeforeIt) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  EXPECT_EQ(client.Barrier(), 0U);
  for (uint64_t seq = 1; seq <= 100; ++seq) client.Append(seq, "k");
  client.Append(1, "refused");
  EXPECT_EQ(client.Barrier(), 100U);
  EXPECT_EQ(client.appended, UpTo(100));
  EXPECT_EQ(client.refused.size(), 1U);
}

TEST_P(LogContractTest, ABarrierSeesTheRecordsOfOthersAndWritesNone) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  world().AppendForeign({.subject = client.Subject("other")});
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.Barrier(), 1U);
  EXPECT_EQ(client.State().last, StreamSeq(1));
}

// --- Reads ---------------------------------------------------------------------------------------

TEST_P(LogContractTest, AReadGivesEveryFieldBack) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  const std::string put = client.Subject("a/b");
  const std::string gone = client.Subject("a.c");
  const std::string payload("\0\r\n value \xff", 11);
  client.AppendRecord(1, {.subject = put, .header = "2 2 1 6a 1/1 1", .payload = payload});
  client.AppendRecord(2, {.subject = gone, .header = "3 0 0 0 1/1 1", .is_delete = true});
  ASSERT_TRUE(world().RunUntil([&] { return client.appended.size() == 2; }));
  world().AppendForeign({.subject = put, .payload = "foreign"});
  const auto read = client.Read();
  ASSERT_EQ(read.records.size(), 3U);
  EXPECT_EQ(**read.done, StreamSeq(3));
  const Copy& first = read.records[0];
  EXPECT_EQ(first.seq, StreamSeq(1));
  EXPECT_EQ(first.subject, put);
  EXPECT_EQ(first.header, "2 2 1 6a 1/1 1");
  EXPECT_FALSE(first.is_delete);
  EXPECT_EQ(first.payload, payload);
  EXPECT_EQ(first.payload_size, payload.size());
  EXPECT_GT(first.time_ns, 0);
  const Copy& second = read.records[1];
  EXPECT_EQ(second.subject, gone);
  EXPECT_EQ(second.header, "3 0 0 0 1/1 1");
  EXPECT_TRUE(second.is_delete);
  EXPECT_EQ(second.payload, "");
  EXPECT_GE(second.time_ns, first.time_ns);
  const Copy& third = read.records[2];
  EXPECT_EQ(third.header, "");
  EXPECT_EQ(third.payload, "foreign");
  EXPECT_FALSE(third.is_delete);
}

TEST_P(LogContractTest, AReadOfAnEmptyStream) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  const auto read = client.Read();
  EXPECT_THAT(read.records, IsEmpty());
  EXPECT_EQ(**read.done, StreamSeq(0));
}

TEST_P(LogContractTest, AReadStartsWhereItIsAsked) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 300));
  for (const uint64_t from : {uint64_t{0}, uint64_t{1}, uint64_t{150}, uint64_t{300}}) {
    const auto read = client.Read({.from = StreamSeq(from)});
    EXPECT_EQ(Seqs(read.records), UpTo(300, std::max<uint64_t>(from, 1)));
    EXPECT_EQ(**read.done, StreamSeq(300));
  }
  for (const uint64_t from : {uint64_t{301}, uint64_t{1000}}) {
    const auto read = client.Read({.from = StreamSeq(from)});
    EXPECT_THAT(read.records, IsEmpty());
    EXPECT_EQ(**read.done, StreamSeq(300));
  }
}

TEST_P(LogContractTest, AReadFilters) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  const std::vector<std::string> keys = {"a",          "a.b",           "a.b.c",         "b",
                                         "_jetd.term", "_jetd.lease.1", "_jetd.lease.2", "a"};
  for (size_t i = 0; i < keys.size(); ++i) client.Append(i + 1, keys[i], "payload");
  ASSERT_TRUE(world().RunUntil([&] { return client.appended.size() == keys.size(); }));
  const auto read = [&](const std::vector<std::string>& patterns) {
    Log::ReadOptions options;
    for (const std::string& pattern : patterns) options.subjects.push_back(client.Subject(pattern));
    const auto result = client.Read(options);
    EXPECT_EQ(**result.done, StreamSeq(8));
    return Seqs(result.records);
  };
  EXPECT_THAT(read({"a"}), ElementsAre(1, 8));
  EXPECT_THAT(read({"a.*"}), ElementsAre(2));
  EXPECT_THAT(read({"a.>"}), ElementsAre(2, 3));
  EXPECT_THAT(read({"_jetd.>"}), ElementsAre(5, 6, 7));
  EXPECT_THAT(read({"_jetd.lease.*", "b"}), ElementsAre(4, 6, 7));
  EXPECT_THAT(read({"_jetd.term", "_jetd.lease.2"}), ElementsAre(5, 7));
  EXPECT_THAT(read({"nobody"}), IsEmpty());
  EXPECT_EQ(read({">"}), UpTo(8));
  const auto late = client.Read({.from = StreamSeq(2), .subjects = {client.Subject("a")}});
  EXPECT_THAT(Seqs(late.records), ElementsAre(8));
}

TEST_P(LogContractTest, AReadOfHeadersTellsTheSizes) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  for (uint64_t seq = 1; seq <= 20; ++seq) client.Append(seq, "k", std::string(seq * 100, 'x'));
  const std::string gone = client.Subject("k");
  client.AppendRecord(21, {.subject = gone, .header = "3 0 0 0 1/1 1", .is_delete = true});
  ASSERT_TRUE(world().RunUntil([&] { return client.appended.size() == 21; }));
  const auto read = client.Read({.headers_only = true});
  ASSERT_EQ(read.records.size(), 21U);
  for (uint64_t seq = 1; seq <= 20; ++seq) {
    const Copy& record = read.records[seq - 1];
    EXPECT_EQ(record.payload, "");
    EXPECT_EQ(record.payload_size, seq * 100);
    EXPECT_EQ(record.header, "2 2 1 0 1/1 1");
    EXPECT_EQ(record.subject, gone);
  }
  EXPECT_TRUE(read.records[20].is_delete);
  EXPECT_EQ(read.records[20].payload_size, 0U);
}

TEST_P(LogContractTest, AReadStepsOverDeletedRecords) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 10));
  for (const uint64_t seq : {1, 4, 5, 9, 10}) client.Delete(seq);
  auto read = client.Read();
  EXPECT_THAT(Seqs(read.records), ElementsAre(2, 3, 6, 7, 8));
  EXPECT_EQ(**read.done, StreamSeq(10));
  read = client.Read({.from = StreamSeq(4)});
  EXPECT_THAT(Seqs(read.records), ElementsAre(6, 7, 8));
  read = client.Read({.from = StreamSeq(9)});
  EXPECT_THAT(Seqs(read.records), IsEmpty());
  EXPECT_EQ(**read.done, StreamSeq(10));
  for (const uint64_t seq : {2, 3, 6, 7, 8}) client.Delete(seq);
  read = client.Read();
  EXPECT_THAT(Seqs(read.records), IsEmpty());
  EXPECT_EQ(**read.done, StreamSeq(10));
}

TEST_P(LogContractTest, SeveralReadsAtOnce) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 400));
  std::vector<Client::ReadResult> results(8);
  for (size_t i = 0; i < results.size(); ++i) {
    client.StartRead({.from = StreamSeq(i * 40 + 1), .headers_only = i % 2 == 1}, &results[i]);
  }
  ASSERT_TRUE(world().RunUntil([&] {
    return std::all_of(results.begin(), results.end(),
                       [](const auto& result) { return result.done.has_value(); });
  }));
  for (size_t i = 0; i < results.size(); ++i) {
    ASSERT_TRUE(results[i].done->ok()) << results[i].done->status();
    EXPECT_EQ(Seqs(results[i].records), UpTo(400, i * 40 + 1));
  }
}

TEST_P(LogContractTest, AReadDuringAppendsMissesNothingUpToItsEnd) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 200));
  Client::ReadResult result;
  client.StartRead({}, &result);
  ASSERT_TRUE(client.AppendMany(201, 300));
  ASSERT_TRUE(world().RunUntil([&] { return result.done.has_value(); }));
  ASSERT_TRUE(result.done->ok());
  const uint64_t last = (*result.done)->value();
  EXPECT_GE(last, 200U);
  ASSERT_GE(result.records.size(), last);
  EXPECT_EQ(Seqs(result.records), UpTo(result.records.size()));
}

// --- Get, Delete, State --------------------------------------------------------------------------

TEST_P(LogContractTest, GetFindsWhatIsThere) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 300));
  client.Delete(7);
  EXPECT_THAT(client.Get({}), IsEmpty());
  EXPECT_THAT(client.Get({7, 301, 100000}), IsEmpty());
  const auto some = client.Get({300, 7, 2});
  ASSERT_THAT(Seqs(some), ElementsAre(2, 300));
  EXPECT_EQ(some[0].payload, "2");
  EXPECT_EQ(some[0].subject, client.Subject("k2"));
  EXPECT_EQ(some[0].header, "2 2 1 0 1/1 1");
  EXPECT_EQ(some[0].payload_size, 1U);
  EXPECT_GT(some[0].time_ns, 0);
  EXPECT_EQ(some[0].time_ns, client.Read().records[1].time_ns) << "a record is known by it";
  EXPECT_EQ(client.Get(UpTo(300)).size(), 299U);
}

TEST_P(LogContractTest, DeleteIsPhysicalAndTwiceIsOnce) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 3));
  client.Delete(3);
  client.Delete(3);
  client.Delete(99);
  EXPECT_THAT(client.Get({3}), IsEmpty());
  EXPECT_EQ(client.Barrier(), 3U);  // its sequence is not given out again
  ASSERT_TRUE(client.AppendMany(4, 1));
  EXPECT_THAT(Seqs(client.Read().records), ElementsAre(1, 2, 4));
  client.Delete(1);
  client.Delete(2);
  client.Delete(1);  // below the first that is there by now
  EXPECT_THAT(Seqs(client.Read().records), ElementsAre(4));
  std::optional<absl::Status> synced;
  client.Call([&] {
    client.log()->SyncDeletes([&](absl::Status status) {
      client.Arrived();
      synced = std::move(status);
    });
  });
  ASSERT_TRUE(world().RunUntil([&] { return synced.has_value(); }));
  EXPECT_TRUE(synced->ok()) << *synced;
}

TEST_P(LogContractTest, StateCounts) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  StreamState state = client.State();
  EXPECT_EQ(state.first, StreamSeq(1));
  EXPECT_EQ(state.last, StreamSeq(0));
  EXPECT_EQ(state.messages, 0U);
  ASSERT_TRUE(client.AppendMany(1, 5));
  client.Delete(1);
  client.Delete(3);
  client.Delete(5);
  state = client.State();
  EXPECT_EQ(state.first, StreamSeq(2));
  EXPECT_EQ(state.last, StreamSeq(5));
  EXPECT_EQ(state.messages, 2U);
  EXPECT_GT(state.bytes, 0U);
  client.Delete(2);
  client.Delete(4);
  state = client.State();
  EXPECT_EQ(state.first, StreamSeq(6));
  EXPECT_EQ(state.last, StreamSeq(5));
  EXPECT_EQ(state.messages, 0U);
}

// --- Sizes and spellings -------------------------------------------------------------------------

TEST_P(LogContractTest, TheLargestRecordGoesThere) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  std::string payload(client.info.max_payload_bytes, '\0');
  for (size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(i * 7 + i / 256);
  const std::string subject = client.Subject(
      std::string(client.info.max_subject_bytes - client.info.subject_prefix.size(), 'k'));
  ASSERT_EQ(subject.size(), client.info.max_subject_bytes);
  const RecordHeader longest{.revision = Revision(INT64_MAX),
                             .create_revision = Revision(INT64_MAX),
                             .version = INT64_MAX,
                             .lease = LeaseId(-1),
                             .index = UINT32_MAX,
                             .count = UINT32_MAX,
                             .term = Term(UINT64_MAX)};
  const std::string header = EncodeHeader(longest);
  client.AppendRecord(1, {.subject = subject, .header = header, .payload = payload});
  client.Append(2, "small");
  ASSERT_TRUE(world().RunUntil([&] { return client.answers() == 2; }));
  ASSERT_EQ(client.appended, UpTo(2));
  for (const std::vector<Copy>& records : {client.Read().records, client.Get({1, 2})}) {
    ASSERT_EQ(records.size(), 2U);
    EXPECT_TRUE(records[0].subject == subject);
    EXPECT_EQ(records[0].header, header);
    EXPECT_TRUE(records[0].payload == payload);
  }
  const auto filtered = client.Read({.subjects = {client.Subject("small")}});
  EXPECT_THAT(Seqs(filtered.records), ElementsAre(2));
  client.Delete(1);
  EXPECT_THAT(client.Get({1}), IsEmpty());
}

TEST_P(LogContractTest, AFollowedReadGoesOn) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 3));
  Client other(world());
  ASSERT_TRUE(other.Open());
  Client::ReadResult all;
  Client::ReadResult some;
  auto wanted = std::make_shared<int>();
  other.StartRead({.from = StreamSeq(2), .follow = true, .wanted = wanted}, &all);
  other.StartRead({.subjects = {client.Subject("k5")}, .follow = true, .wanted = wanted}, &some);
  ASSERT_TRUE(world().RunUntil([&] { return all.records.size() == 2; }));
  ASSERT_TRUE(client.AppendMany(4, 2));
  const std::string foreign = client.Subject("other");
  ASSERT_EQ(world().AppendForeign({.subject = foreign}), StreamSeq(6));
  ASSERT_TRUE(world().RunUntil([&] { return all.records.size() == 5; }));
  ASSERT_TRUE(world().RunUntil([&] { return some.records.size() == 1; }));
  EXPECT_EQ(Seqs(all.records), UpTo(6, 2));
  EXPECT_EQ(all.records.back().subject, foreign);
  EXPECT_EQ(some.records[0].payload, "5");
  // Nobody wants it any more: no record, no end.
  wanted.reset();
  ASSERT_TRUE(client.AppendMany(7, 1));
  EXPECT_EQ(Seqs(client.Read().records), UpTo(7));
  EXPECT_EQ(all.records.size(), 5U);
  EXPECT_FALSE(all.done.has_value());
}

TEST_P(LogContractTest, AFollowedReadEndsWithTheConnection) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  ASSERT_TRUE(client.AppendMany(1, 1));
  Client::ReadResult read;
  auto wanted = std::make_shared<int>();
  client.StartRead({.follow = true, .wanted = wanted}, &read);
  ASSERT_TRUE(world().RunUntil([&] { return read.records.size() == 1; }));
  world().BreakConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return read.done.has_value(); }));
  EXPECT_EQ(GetErrc(read.done->status()), Errc::kUnavailable);
  world().RestoreConnection(client.log());
  ASSERT_TRUE(world().RunUntil([&] { return client.connected; }));
}

TEST_P(LogContractTest, EverySubjectOfTheCodecGoesThere) {
  Client client(world());
  ASSERT_TRUE(client.Open());
  const SubjectCodec codec(client.info.bucket);
  std::vector<std::string> subjects;
  for (int c = 0; c < 256; ++c) subjects.push_back(codec.EncodeKey(std::string(1, char(c))));
  for (const char* key : {"//", "/a/", "..", ".a..b.", "_jetd", "_jetd.term", "_jetd.", "a b",
                          "*.>", "$KV.B.a", "\xc3\xa9", "=41", "/registry/pods/default/web"}) {
    subjects.push_back(codec.EncodeKey(key));
  }
  subjects.push_back(codec.TermSubject());
  subjects.push_back(codec.CompactSubject());
  subjects.push_back(codec.BarrierSubject());
  subjects.push_back(codec.LeaseSubject(LeaseId(-1)));
  for (size_t i = 0; i < subjects.size(); ++i) {
    client.AppendRecord(i + 1, {.subject = subjects[i], .header = "h", .payload = subjects[i]});
  }
  ASSERT_TRUE(world().RunUntil([&] { return client.answers() == subjects.size(); }));
  const auto records = client.Read().records;
  ASSERT_EQ(records.size(), subjects.size());
  for (size_t i = 0; i < subjects.size(); ++i) {
    EXPECT_EQ(records[i].subject, subjects[i]);
    EXPECT_EQ(records[i].payload, subjects[i]);
    EXPECT_TRUE(codec.Decode(records[i].subject).ok());
  }
  const auto one = client.Read({.subjects = {codec.EncodeKey("*.>")}});
  ASSERT_EQ(one.records.size(), 1U);
  EXPECT_EQ(one.records[0].subject, codec.EncodeKey("*.>"));
}

}  // namespace
}  // namespace jetd::jetstream
