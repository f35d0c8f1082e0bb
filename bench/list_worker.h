// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BENCH_LIST_WORKER_H_
#define JETD_BENCH_LIST_WORKER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "bench/driver.h"
#include "bench/key_space.h"
#include "etcdclient/caller.h"

namespace jetd::bench {

// Follows a list through its pages and checks them: every key is there once, in order, with a value
// that was written. Nobody may write meanwhile.
class ListCheck {
 public:
  ListCheck(const ValueMaker* values, const KeySpace* keys) : values_(values), keys_(keys) {}

  // The keys of one more page or piece; empty if they are right.
  [[nodiscard]] std::string Add(const etcdclient::pb::RangeResponse& piece);
  // After the last piece.
  [[nodiscard]] std::string Complete() const;
  void Reset();

  [[nodiscard]] int64_t seen() const { return seen_; }
  [[nodiscard]] const std::string& last_key() const { return last_key_; }

 private:
  const ValueMaker* const values_;
  const KeySpace* const keys_;
  int64_t seen_ = 0;
  std::string last_key_;
};

// Lists everything again and again, as kube-apiserver does: pages of `limit` keys at the revision
// of the first, or all at once. One operation is one page.
class ListWorker final : public Worker {
 public:
  ListWorker(etcdclient::Caller* caller, const ValueMaker* values, const KeySpace* keys, int limit,
             int id);

  [[nodiscard]] bool Start(int64_t due_ns) override;
  [[nodiscard]] std::optional<Outcome> Finish(const absl::Status& status) override;
  void Cancel() override { call_->Cancel(); }

 private:
  void StartOver();
  [[nodiscard]] std::string Check();

  const KeySpace* const keys_;
  const int limit_;
  ListCheck check_;
  int64_t revision_ = 0;
  std::unique_ptr<etcdclient::ReusableCall<etcdclient::pb::RangeRequest>> call_;
};

// Lists everything by RangeStream. One operation is one whole list.
class RangeStreamWorker final : public Worker {
 public:
  RangeStreamWorker(etcdclient::Caller* caller, const ValueMaker* values, const KeySpace* keys,
                    int id);

  [[nodiscard]] bool Start(int64_t due_ns) override;
  [[nodiscard]] std::optional<Outcome> Finish(const absl::Status& status) override;
  void Cancel() override { stream_->Cancel(); }

 private:
  using Stream =
      etcdclient::ReusableStream<etcdclient::pb::RangeRequest, etcdclient::pb::RangeStreamResponse>;

  etcdclient::Caller* const caller_;
  const KeySpace* const keys_;
  const int id_;
  ListCheck check_;
  std::string error_;
  std::unique_ptr<Stream> stream_;
  // The one before, whose last callback may still be on the stack.
  std::unique_ptr<Stream> previous_;
};

}  // namespace jetd::bench

#endif  // JETD_BENCH_LIST_WORKER_H_
