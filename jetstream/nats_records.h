// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_NATS_RECORDS_H_
#define JETD_JETSTREAM_NATS_RECORDS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/loop.h"
#include "base/types.h"
#include "jetstream/log.h"
#include "jetstream/nats_api.h"
#include "jetstream/stream_setup.h"

namespace jetd::jetstream {

// Gets and deletes single records by sequence, on one connection. No more than a fixed number of
// requests are with the server at a time, so that a long list does not stand between the server and
// the writes; the rest waits here, in order, and its bound is the caller's. The engine thread's
// alone; callbacks come from messages and timers.
class NatsRecords {
 public:
  NatsRecords(Loop* loop, NatsApi* api, const StreamOptions& stream, int replicas);
  ~NatsRecords();
  NatsRecords(const NatsRecords&) = delete;
  NatsRecords& operator=(const NatsRecords&) = delete;

  void Get(const std::vector<StreamSeq>& seqs, Log::RecordFn on_record, Log::DoneFn done);
  void Delete(StreamSeq seq, Log::DoneFn done);
  // Deletions asked for, less those that turned out to have been made before; and those made.
  struct Deletes {
    uint64_t asked = 0;
    uint64_t made = 0;
  };
  [[nodiscard]] Deletes deletes() const { return deleted_; }
  // Calls back what waits here. What is with the server is NatsApi's to fail.
  void Fail(const absl::Status& why);
  // The same without telling anybody.
  void Drop();

 private:
  struct Job {
    std::string subject;
    std::string payload;
    NatsApi::ReplyFn done;
  };
  struct GetCall;
  // Requests of one kind that are with the server or wait.
  struct Window {
    explicit Window(size_t l) : limit(l) {}
    const size_t limit;
    size_t sent = 0;
    std::deque<Job> waiting;
  };

  void Submit(Window* window, Job job);
  void Pump(Window* window);
  void GetOne(const std::shared_ptr<GetCall>& call, StreamSeq seq, int attempt);
  Job GetJob(const std::shared_ptr<GetCall>& call, StreamSeq seq, int attempt);
  void OnGot(const std::shared_ptr<GetCall>& call, StreamSeq seq, int attempt,
             NatsMessage& message);
  void ConfirmGone(const std::shared_ptr<GetCall>& call, StreamSeq seq, int attempt);
  void AskLater(Job job);

  Loop* const loop_;
  NatsApi* const api_;
  const int replicas_;
  const std::string subject_prefix_;
  const std::string direct_get_, message_get_, message_delete_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  bool failed_ = false;
  Deletes deleted_;
  Window gets_;
  Window deletes_;
  std::vector<Job> lagging_;  // gets to ask again soon
  TimerId lag_timer_ = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_NATS_RECORDS_H_
