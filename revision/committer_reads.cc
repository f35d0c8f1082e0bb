// SPDX-License-Identifier: Apache-2.0
//
// Reads: their barrier, and long ranges in steps.
#include <memory>
#include <utility>

#include "base/error.h"
#include "revision/committer_impl.h"

namespace jetd::revision {

bool Committer::Impl::Alone() const { return phase == Phase::kLeading && log->exclusive(); }

void Committer::Impl::AfterBarrier(std::function<void(absl::Status)> run) {
  if (Refusal().ok() && Alone()) {
    executor->Defer([run = std::move(run)] { run(absl::OkStatus()); });
  } else {
    AfterRoundTrip(std::move(run));
  }
}

void Committer::Impl::AfterRoundTrip(std::function<void(absl::Status)> run) {
  if (Elsewhere()) return ReadElsewhere(std::move(run));
  absl::Status refusal = Refusal();
  if (refusal.ok() && room_awaited && !ReadsGoOn()) refusal = MakeError(Errc::kNoSpace);
  if (refusal.ok() && reads.size() >= limits::kMaxWaitingReads) {
    refusal = MakeError(Errc::kTooManyRequests);
  }
  if (!refusal.ok()) {
    executor->Defer([run = std::move(run), refusal] { run(refusal); });
    return;
  }
  reads.Wait(std::move(run));
  SchedulePump();
}

struct Committer::Impl::Scan {
  const RangeOp* op;
  RangeDone done;
  Store::Cursor cursor;
  RangeResult result;
};

void Committer::Impl::RunRange(const RangeOp* op, RangeDone done) {
  if (op->keys.single()) {
    done(store->Range(*op, Store::View::kCommitted));
    return;
  }
  auto scan = std::make_shared<Scan>();
  scan->op = op;
  scan->done = std::move(done);
  auto cursor = store->OpenCursor(*op);
  if (!cursor.ok()) {
    scan->done(cursor.status());
    return;
  }
  scan->cursor = *std::move(cursor);
  StepRange(scan);
}

void Committer::Impl::StepRange(const std::shared_ptr<Scan>& scan) {
  const absl::Status status =
      store->Step(*scan->op, limits::kScanStepKeys, &scan->cursor, &scan->result);
  if (!status.ok()) {
    scan->done(status);
  } else if (scan->cursor.done) {
    scan->done(std::move(scan->result));
  } else {
    // A timer that is due, not Defer: sockets and other requests get their turn in between.
    executor->RunAt(executor->Now(), [this, scan] { StepRange(scan); });
  }
}

void Committer::Range(const RangeOp* op, RangeDone done) {
  if (op->serializable && impl_->led_before && !impl_->stopped) {
    impl_->executor->Defer(
        [this, op, done = std::move(done)]() mutable { impl_->RunRange(op, std::move(done)); });
    return;
  }
  impl_->AfterBarrier([this, op, done = std::move(done)](const absl::Status& status) mutable {
    if (!status.ok()) {
      done(status);
    } else {
      impl_->RunRange(op, std::move(done));
    }
  });
}

void Committer::OpenCursor(const RangeOp* op, CursorDone done) {
  auto run = [this, op, done = std::move(done)](const absl::Status& status) {
    if (!status.ok()) {
      done(status);
    } else {
      done(impl_->store->OpenCursor(*op));
    }
  };
  if (op->serializable && impl_->led_before && !impl_->stopped) {
    impl_->executor->Defer([run = std::move(run)] { run(absl::OkStatus()); });
  } else {
    impl_->AfterBarrier(std::move(run));
  }
}

void Committer::Barrier(DoneFn done) { impl_->AfterBarrier(std::move(done)); }

void Committer::RoundTrip(DoneFn done) { impl_->AfterRoundTrip(std::move(done)); }

}  // namespace jetd::revision
