// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_MEMORY_STREAM_H_
#define JETD_JETSTREAM_MEMORY_STREAM_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "base/types.h"
#include "jetstream/log.h"

namespace jetd::jetstream {

// True if `subject` matches `pattern`, NATS's way: `*` is any one token, `>` at the end one or
// more. Pure.
[[nodiscard]] bool SubjectMatches(std::string_view pattern, std::string_view subject);

// The stream of one bucket, in memory: what is in nats-server for a NatsLog. Any number of
// MemoryLogs share it and outlive it never. Tests call it too, as a foreign writer, as the disk
// (PowerCut) or as the operator (Recreate). One thread.
//
// Two things happen behind a client's back, both under the test's control:
//   late records   appended by a client that lost its connection since, still in some buffer on the
//                  way. `LandLate` lets the oldest arrive; it lands if its sequence is still free,
//                  even when what comes before it is not what its writer had predicted.
//   power cuts     a record or a delete is safe once it was synced; `PowerCut` takes back the rest.
class MemoryStream {
 public:
  struct Options {
    std::string bucket = "B";
    int64_t created_ns = 1'700'000'000'000'000'000;
    // Keeps what is deleted, for ReviveDeleted.
    bool remember_deleted = false;
  };
  static constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

  // A record with bytes of its own. Immutable once it is in the stream.
  struct Stored {
    StreamSeq seq;
    int64_t time_ns = 0;
    std::string subject;
    std::string header;
    bool is_delete = false;
    std::string payload;

    [[nodiscard]] Record View(bool headers_only) const;
    [[nodiscard]] uint64_t bytes() const { return subject.size() + header.size() + payload.size(); }
  };
  using StoredPtr = std::shared_ptr<const Stored>;
  [[nodiscard]] static Stored Own(StreamSeq predicted, const NewRecord& record);

  MemoryStream() : MemoryStream(Options{}) {}
  explicit MemoryStream(Options options);
  MemoryStream(const MemoryStream&) = delete;
  MemoryStream& operator=(const MemoryStream&) = delete;

  [[nodiscard]] const std::string& bucket() const { return options_.bucket; }
  [[nodiscard]] const std::string& prefix() const { return prefix_; }  // "$KV.B."
  [[nodiscard]] int64_t created_ns() const { return options_.created_ns; }

  // Lands at `record.seq` if that is the next sequence. Otherwise kUnavailable with the last
  // sequence in its text; kNoSpace at a limit. `writer` names who did it, for listeners. The
  // record's time is `now_ns`, or just after its predecessor's if that is later.
  absl::Status Append(Stored record, int64_t now_ns, const void* writer);
  // Appends without an expectation, as another program does. Ignores limits.
  StreamSeq AppendForeign(const NewRecord& record);

  void KeepLate(Stored record) { late_.push_back(std::move(record)); }
  [[nodiscard]] size_t late() const { return late_.size(); }
  // Lets the oldest `count` late records arrive; true if at least one landed.
  bool LandLate(size_t count = 1);
  void DropLate() { late_.clear(); }

  // Nothing: there is none (any more).
  [[nodiscard]] StoredPtr Find(StreamSeq seq) const;
  // The first record at or above `from`.
  [[nodiscard]] StoredPtr FirstFrom(StreamSeq from) const;
  // All that it holds now, by sequence.
  using Records = std::map<StreamSeq, StoredPtr>;
  [[nodiscard]] const Records& records() const { return records_; }
  void Delete(StreamSeq seq);
  [[nodiscard]] StreamState State() const;
  [[nodiscard]] StreamSeq last() const { return last_; }

  // Records that the stream holds, and their bytes, before it refuses for lack of room.
  void set_max_messages(uint64_t max) { max_messages_ = max; }
  void set_max_bytes(uint64_t max) { max_bytes_ = max; }
  [[nodiscard]] uint64_t max_bytes() const { return max_bytes_; }

  // Makes records up to `seq` safe; makes all deletes so far safe.
  void SyncRecords(StreamSeq seq);
  void SyncDeletes();
  [[nodiscard]] StreamSeq synced() const { return synced_; }
  // What was never synced is undone: the newest records are gone and their sequences free again,
  // deleted records are back. Late records are lost. Connections are not the stream's matter: break
  // them first. Of the records that were never synced, those stay of which `stays` is true: the
  // disk writes in its own order, so there may be a hole in the middle, and nats-server goes on
  // behind it.
  void PowerCut(const std::function<bool(StreamSeq)>& stays = nullptr);
  // Records that were deleted at any time, synced or not, are back if `which` says so: nats-server
  // 2.15 forgets deletions when it is killed, recovers, and is killed again.
  // REQUIRES: remember_deleted.
  void ReviveDeleted(const std::function<bool(const Stored&)>& which);
  // A server comes back without its newest records, synced or not: those above `last` are gone and
  // their sequences free again.
  void LoseTail(StreamSeq last);
  // The stream is deleted and made anew: empty, at sequence 0, with another identity.
  void Recreate(int64_t created_ns);

  // Told of every record that lands, right away.
  using Listener = std::function<void(const Stored& record, const void* writer)>;
  int AddListener(Listener listener);
  void RemoveListener(int id) { listeners_.erase(id); }

 private:
  void Land(Stored record, int64_t now_ns, const void* writer);

  Options options_;
  std::string prefix_;
  Records records_;
  StreamSeq last_{0};
  StreamSeq synced_{0};
  uint64_t bytes_ = 0;
  int64_t last_time_ns_ = 0;
  uint64_t max_messages_ = kNoLimit;
  uint64_t max_bytes_ = kNoLimit;
  // Deleted, and back after a power cut.
  std::map<StreamSeq, StoredPtr> unsynced_deletes_;
  std::map<StreamSeq, StoredPtr> deleted_;  // all of them, if they are remembered
  std::deque<Stored> late_;
  int next_listener_ = 1;
  std::map<int, Listener> listeners_;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_MEMORY_STREAM_H_
