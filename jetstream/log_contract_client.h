// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_LOG_CONTRACT_CLIENT_H_
#define JETD_JETSTREAM_LOG_CONTRACT_CLIENT_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/error.h"
#include "base/strings.h"
#include "base/types.h"
#include "gtest/gtest.h"
#include "jetstream/log.h"
#include "jetstream/log_contract_test.h"

namespace jetd::jetstream::contract {

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

inline std::vector<uint64_t> Seqs(const std::vector<Copy>& records) {
  std::vector<uint64_t> seqs;
  for (const Copy& record : records) seqs.push_back(record.seq.value());
  return seqs;
}

inline std::vector<uint64_t> UpTo(uint64_t last, uint64_t first = 1) {
  std::vector<uint64_t> seqs;
  for (uint64_t seq = first; seq <= last; ++seq) seqs.push_back(seq);
  return seqs;
}

}  // namespace jetd::jetstream::contract

#endif  // JETD_JETSTREAM_LOG_CONTRACT_CLIENT_H_
