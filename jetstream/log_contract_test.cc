// SPDX-License-Identifier: Apache-2.0
#include "jetstream/log_contract_test.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/strings.h"
#include "gmock/gmock.h"
#include "jetstream/record.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A Record with bytes of its own.
struct Copy {
  StreamSeq seq;
  int64_t time_ns = 0;
  std::string subject, header, payload;
  bool is_delete = false;
  size_t payload_size = 0;

  explicit Copy(const Record& r)
      : seq(r.seq),
        time_ns(r.time_ns),
        subject(r.subject),
        header(r.header),
        payload(r.payload),
        is_delete(r.is_delete),
        payload_size(r.payload_size) {}
};

// A log, open, with everything it said. Checks the rules that hold at any time. Its requests are
// made through it, so that it knows when a callback comes from inside a call.
class Client : public Log::Observer {
 public:
  explicit Client(LogWorld& world) : world_(world), log_(world.MakeLog()) {}
  ~Client() override { log_->Close(); }

  bool Open() {
    Call([&] { log_->Open(this, [](const absl::Status& why) { ADD_FAILURE() << why; }); });
    return world_.RunUntil([&] { return connects == 1; });
  }
  [[nodiscard]] Log* log() { return log_.get(); }

  template <typename Fn>
  void Call(Fn fn) {
    inside_ = true;
    fn();
    inside_ = false;
  }

  [[nodiscard]] std::string Subject(std::string_view key) const {
    return Cat(info.subject_prefix, key);
  }
  void Append(uint64_t seq, std::string_view key, std::string_view payload = "v") {
    const std::string subject = Subject(key);
    AppendRecord(seq, {.subject = subject, .header = "2 2 1 0 1/1 1", .payload = payload});
  }
  void AppendRecord(uint64_t seq, const NewRecord& record) {
    Call([&] { log_->Append(StreamSeq(seq), record); });
  }
  // Appends `count` records predicted from `first` on, and waits until they are answered.
  bool AppendMany(uint64_t first, uint64_t count) {
    const size_t before = answers();
    for (uint64_t i = 0; i < count; ++i) Append(first + i, Cat("k", first + i), Cat(first + i));
    return world_.RunUntil([&] { return answers() == before + count; });
  }
  void RequestDurable(uint64_t seq) {
    known = std::max(known, seq);
    Call([&] { log_->RequestDurable(StreamSeq(seq)); });
  }
  [[nodiscard]] size_t answers() const { return appended.size() + refused.size(); }

  struct ReadResult {
    std::vector<Copy> records;
    std::optional<absl::StatusOr<StreamSeq>> done;
  };
  void StartRead(const Log::ReadOptions& options, ReadResult* result) {
    Call([&] {
      log_->Read(
          options,
          [this, result](const Record& record) {
            Arrived();
            EXPECT_FALSE(result->done.has_value()) << "a record after the end";
            if (!result->records.empty()) {
              EXPECT_LT(result->records.back().seq, record.seq);
            }
            result->records.emplace_back(record);
          },
          [this, result](absl::StatusOr<StreamSeq> last) {
            Arrived();
            EXPECT_FALSE(result->done.has_value()) << "a second end";
            result->done = std::move(last);
          });
    });
  }
  // The whole answer, which must be good.
  ReadResult Read(const Log::ReadOptions& options = {}) {
    ReadResult result;
    StartRead(options, &result);
    EXPECT_TRUE(world_.RunUntil([&] { return result.done.has_value(); }));
    EXPECT_TRUE(result.done.has_value() && result.done->ok());
    return result;
  }

  std::vector<Copy> Get(const std::vector<uint64_t>& seqs) {
    std::vector<StreamSeq> wanted;
    for (const uint64_t seq : seqs) wanted.emplace_back(seq);
    std::vector<Copy> records;
    std::optional<absl::Status> done;
    Call([&] {
      log_->Get(
          wanted,
          [&](const Record& record) {
            Arrived();
            records.emplace_back(record);
          },
          [&](absl::Status status) {
            Arrived();
            done = std::move(status);
          });
    });
    EXPECT_TRUE(world_.RunUntil([&] { return done.has_value(); }));
    EXPECT_TRUE(done.has_value() && done->ok());
    std::sort(records.begin(), records.end(),
              [](const Copy& a, const Copy& b) { return a.seq < b.seq; });
    return records;
  }

  void StartBarrier(std::optional<absl::StatusOr<StreamSeq>>* answer) {
    Call([&] {
      log_->Barrier([this, answer](absl::StatusOr<StreamSeq> last) {
        Arrived();
        EXPECT_FALSE(answer->has_value());
        *answer = std::move(last);
      });
    });
  }
  uint64_t Barrier() {
    std::optional<absl::StatusOr<StreamSeq>> answer;
    StartBarrier(&answer);
    EXPECT_TRUE(world_.RunUntil([&] { return answer.has_value(); }));
    if (!answer.has_value() || !answer->ok()) {
      ADD_FAILURE() << "no barrier";
      return 0;
    }
    return (*answer)->value();
  }

  void StartDelete(uint64_t seq, std::optional<absl::Status>* answer) {
    Call([&] {
      log_->Delete(StreamSeq(seq), [this, answer](absl::Status status) {
        Arrived();
        EXPECT_FALSE(answer->has_value());
        *answer = std::move(status);
      });
    });
  }
  void Delete(uint64_t seq) {
    std::optional<absl::Status> answer;
    StartDelete(seq, &answer);
    EXPECT_TRUE(world_.RunUntil([&] { return answer.has_value(); }));
    EXPECT_TRUE(answer.has_value() && answer->ok()) << seq;
  }

  void StartState(std::optional<absl::StatusOr<StreamState>>* answer) {
    Call([&] {
      log_->State([this, answer](absl::StatusOr<StreamState> state) {
        Arrived();
        EXPECT_FALSE(answer->has_value());
        *answer = std::move(state);
      });
    });
  }
  StreamState State() {
    std::optional<absl::StatusOr<StreamState>> answer;
    StartState(&answer);
    EXPECT_TRUE(world_.RunUntil([&] { return answer.has_value(); }));
    EXPECT_TRUE(answer.has_value() && answer->ok());
    return answer.has_value() && answer->ok() ? **answer : StreamState{};
  }

  // Observer.
  void OnConnected(const LogInfo& now) override {
    Arrived();
    EXPECT_FALSE(connected);
    connected = true;
    ++connects;
    info = now;
  }
  void OnDisconnected(const absl::Status& why) override {
    Arrived();
    EXPECT_TRUE(connected);
    EXPECT_FALSE(why.ok());
    connected = false;
    ++disconnects;
  }
  void OnAppended(StreamSeq seq) override {
    Arrived();
    EXPECT_TRUE(connected);
    appended.push_back(seq.value());
    known = std::max(known, seq.value());
  }
  void OnRefused(StreamSeq seq, const absl::Status& why) override {
    Arrived();
    EXPECT_TRUE(connected);
    refused.emplace_back(seq.value(), GetErrc(why));
  }
  void OnDurable(StreamSeq seq) override {
    Arrived();
    EXPECT_TRUE(connected);
    EXPECT_GE(seq.value(), durable);
    EXPECT_LE(seq.value(), known);
    durable = seq.value();
  }
  void OnForeignTerm() override {
    Arrived();
    EXPECT_TRUE(connected);
    ++foreign_terms;
  }

  // For callbacks: none may come from inside a call, or after Close.
  void Arrived() {
    EXPECT_FALSE(inside_) << "a callback from inside a call";
    EXPECT_FALSE(closed) << "a callback after Close";
  }
  void Close() {
    log_->Close();
    closed = true;
  }

  LogInfo info;
  bool connected = false;
  bool closed = false;
  int connects = 0;
  int disconnects = 0;
  int foreign_terms = 0;
  uint64_t durable = 0;
  uint64_t known = 0;  // newest record that may become durable
  std::vector<uint64_t> appended;
  std::vector<std::pair<uint64_t, Errc>> refused;

 private:
  LogWorld& world_;
  std::unique_ptr<Log> log_;
  bool inside_ = false;
};

std::vector<uint64_t> Seqs(const std::vector<Copy>& records) {
  std::vector<uint64_t> seqs;
  for (const Copy& record : records) seqs.push_back(record.seq.value());
  return seqs;
}

std::vector<uint64_t> UpTo(uint64_t last, uint64_t first = 1) {
  std::vector<uint64_t> seqs;
  for (uint64_t seq = first; seq <= last; ++seq) seqs.push_back(seq);
  return seqs;
}

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
