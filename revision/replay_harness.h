// SPDX-License-Identifier: Apache-2.0
//
// For tests of Replay: a stream written by hand, and a log that reads it.
#ifndef JETD_REVISION_REPLAY_HARNESS_H_
#define JETD_REVISION_REPLAY_HARNESS_H_

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fake_executor.h"
#include "gtest/gtest.h"
#include "jetstream/memory_log.h"
#include "jetstream/memory_stream.h"
#include "jetstream/record.h"
#include "jetstream/silent_observer.h"
#include "jetstream/subject.h"
#include "revision/replay.h"
#include "revision/store.h"

namespace jetd::revision {

// A log whose records may be told of before they are handed over: what happens elsewhere meanwhile.
class WatchedLog : public jetstream::MemoryLog {
 public:
  using MemoryLog::MemoryLog;
  void Read(const ReadOptions& options, RecordFn on_record, ReadDoneFn done) override {
    const bool all = options.subjects.empty();
    MemoryLog::Read(
        options,
        [this, all, on_record = std::move(on_record)](const jetstream::Record& record) {
          const auto& before = all ? before_record : before_control;
          if (before) before(record.seq);
          on_record(record);
        },
        std::move(done));
  }
  std::function<void(StreamSeq)> before_record;   // of a reading of all
  std::function<void(StreamSeq)> before_control;  // of one of some subjects
};

class ReplayTest : public ::testing::Test {
 protected:
  // Record of a key: revision `rev`, number i of n.
  StreamSeq Key(const std::string& key, int64_t rev, uint32_t i = 1, uint32_t n = 1,
                uint64_t term = 1) {
    jetstream::RecordHeader header{.revision = Revision(rev),
                                   .create_revision = Revision(rev),
                                   .version = 1,
                                   .lease = LeaseId{},
                                   .index = i,
                                   .count = n,
                                   .term = Term(term)};
    return Append(codec_.EncodeKey(key), EncodeHeader(header), "v" + std::to_string(rev));
  }
  StreamSeq TermAt(uint64_t term, int64_t rev, std::vector<jetstream::SeqRange> voids = {},
                   int format = jetstream::kFormatVersion) {
    jetstream::TermRecord record;
    record.format = format;
    record.term = Term(term);
    record.incarnation = "00112233445566778899aabbccddeeff";
    record.voids = std::move(voids);
    jetstream::RecordHeader header;
    header.revision = Revision(rev);
    header.term = Term(term);
    return Append(codec_.TermSubject(), EncodeHeader(header), EncodeTerm(record));
  }
  StreamSeq CompactAt(int64_t compact, int64_t rev) {
    jetstream::RecordHeader header;
    header.revision = Revision(rev);
    header.term = Term(1);
    return Append(
        codec_.CompactSubject(), EncodeHeader(header),
        jetstream::EncodeCompact({.revision = Revision(compact), .bound = stream_.last()}));
  }
  StreamSeq Append(const std::string& subject, const std::string& header,
                   const std::string& payload) {
    return stream_.AppendForeign({.subject = subject, .header = header, .payload = payload});
  }

  // A delete marker.
  StreamSeq Gone(const std::string& key, int64_t rev) {
    jetstream::RecordHeader header{.revision = Revision(rev), .term = Term(1)};
    return stream_.AppendForeign({.subject = codec_.EncodeKey(key),
                                  .header = EncodeHeader(header),
                                  .is_delete = true,
                                  .payload = ""});
  }
  StreamSeq LiveAt(uint64_t last, std::vector<StreamSeq> live, int64_t rev) {
    jetstream::RecordHeader header{.revision = Revision(rev), .term = Term(1)};
    return Append(
        codec_.LiveSubject(), EncodeHeader(header),
        jetstream::EncodeLive({.range = {StreamSeq(1), StreamSeq(last)}, .live = std::move(live)}));
  }

  absl::StatusOr<Replay::Result> Run(bool exclusive = false) {
    absl::StatusOr<Replay::Result> result;
    OnLog(exclusive, [&](WatchedLog* log) {
      Replay replay(log, &codec_, &store_);
      if (judge_) {
        replay.set_on_judged([this](const Replay::Held& held, Replay::Verdict verdict) {
          judged_ += std::to_string(held.seq.value());
          judged_ += verdict == Replay::Verdict::kVoid ? "v " : " ";
        });
      }
      result = Read(&replay);
    });
    return result;
  }
  // As the committer does: what was appended meanwhile is read before it may take over.
  void RunToTheEnd() {
    OnLog(/*exclusive=*/false, [this](WatchedLog* log) {
      Replay replay(log, &codec_, &store_);
      for (StreamSeq last; last < stream_.last();) {
        const auto result = Read(&replay);
        ASSERT_TRUE(result.ok()) << result.status();
        last = result->last;
      }
    });
  }
  bool Has(std::string_view key) { return bool(store_.Get(key, Store::View::kCommitted)); }

  FakeExecutor exec_;
  std::string judged_;  // sequences in the order of judgement, "v" behind a void one
  jetstream::MemoryStream stream_;
  std::function<void(StreamSeq)> before_record_;
  std::function<void(StreamSeq)> before_control_;
  bool judge_ = true;
  jetstream::SubjectCodec codec_{"B"};
  Store store_;

 private:
  // Calls fn(WatchedLog*) with the stream's log, open meanwhile.
  template <typename Fn>
  void OnLog(bool exclusive, Fn&& fn) {
    jetstream::MemoryLog::Options options;
    options.exclusive = exclusive;
    options.read_batch = 1;
    WatchedLog log(&exec_, &stream_, options);
    log.before_record = before_record_;
    log.before_control = before_control_;
    jetstream::SilentObserver observer;
    log.Open(&observer, [](const absl::Status&) {});
    exec_.RunDeferred();
    fn(&log);
    log.Close();
  }
  absl::StatusOr<Replay::Result> Read(Replay* replay) {
    std::optional<absl::StatusOr<Replay::Result>> result;
    replay->Run([&](absl::StatusOr<Replay::Result> r) { result = std::move(r); });
    exec_.Advance(std::chrono::seconds(1));
    if (!result) return absl::InternalError("the replay did not end");
    return *std::move(result);
  }
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_REPLAY_HARNESS_H_
