// SPDX-License-Identifier: Apache-2.0
#include "revision/audit.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/strings.h"

namespace jetd::revision {
namespace {

// Calls fn with where each of jetd's own records lies that must be there, and what it is. Lists
// from before `led` may have been replaced, and removed, by the leader of then.
template <typename Fn>
void ForEachOwn(const SystemRecords& system, StreamSeq led, const Fn& fn) {
  for (const auto& [id, seq] : system.leases) fn(seq, "the grant of a lease");
  fn(system.compact, "the compaction record");
  fn(system.term, "the term record");
  fn(system.alarm, "the record of alarms");
  for (const StreamSeq seq : system.live) {
    if (seq > led) fn(seq, "a list of what lives");
  }
}

}  // namespace

Audit::Audit(Executor* executor, jetstream::Log* log, const Store* store,
             const SystemRecords* system, StreamSeq led, StreamSeq upto)
    : executor_(executor), log_(log), store_(store), system_(system), led_(led), upto_(upto) {}

Audit::~Audit() { executor_->Cancel(timer_); }

void Audit::Run(DoneFn done) {
  done_ = std::move(done);
  ForEachOwn(*system_, led_, [this](StreamSeq seq, const char* /*what*/) { Note(seq); });
  Visit([this](const KvBlock& version) { Note(version.seq()); }, [this] { ReadStream(); });
}

void Audit::Visit(std::function<void(const KvBlock&)> each, std::function<void()> next) {
  // A timer that is due, not Defer: sockets and requests get their turn in between.
  timer_ = executor_->RunAt(executor_->Now(),
                            [this, each = std::move(each), next = std::move(next)]() mutable {
                              timer_ = 0;
                              if (store_->VisitVersions(&next_key_, kStepVersions, each)) {
                                next_key_.clear();
                                next();
                              } else {
                                Visit(std::move(each), std::move(next));
                              }
                            });
}

void Audit::Note(StreamSeq seq) {
  if (seq != StreamSeq{} && seq <= upto_) expected_.push_back(seq);
}

void Audit::ReadStream() {
  std::sort(expected_.begin(), expected_.end());
  expected_.erase(std::unique(expected_.begin(), expected_.end()), expected_.end());
  result_.records = expected_.size();
  jetstream::Log::ReadOptions headers;
  headers.headers_only = true;
  log_->Read(
      headers,
      [this, alive = std::weak_ptr(alive_)](const jetstream::Record& record) {
        if (!alive.expired()) OnFound(record.seq);
      },
      [this, alive = std::weak_ptr(alive_)](const absl::StatusOr<StreamSeq>& last) {
        if (!alive.expired()) OnRead(last.status());
      });
}

// Records come in order.
void Audit::OnFound(StreamSeq seq) {
  for (; at_ < expected_.size() && expected_[at_] < seq; ++at_) absent_.push_back(expected_[at_]);
  if (at_ < expected_.size() && expected_[at_] == seq) ++at_;
}

void Audit::OnRead(const absl::Status& status) {
  if (!status.ok()) {
    std::exchange(done_, nullptr)(status);
    return;
  }
  absent_.insert(absent_.end(), expected_.begin() + static_cast<std::ptrdiff_t>(at_),
                 expected_.end());
  if (absent_.empty()) {
    std::exchange(done_, nullptr)(std::move(result_));
    return;
  }
  Visit(
      [this](const KvBlock& version) {
        if (!std::binary_search(absent_.begin(), absent_.end(), version.seq())) return;
        Name(version.seq(), Cat("key ", absl::CHexEscape(std::string(version.key())), ", revision ",
                                version.mod_revision().value()));
      },
      [this] { NameMissing(); });
}

void Audit::NameMissing() {
  ForEachOwn(*system_, led_, [this](StreamSeq seq, const char* what) {
    if (std::binary_search(absent_.begin(), absent_.end(), seq)) Name(seq, what);
  });
  std::exchange(done_, nullptr)(std::move(result_));
}

void Audit::Name(StreamSeq seq, const std::string& what) {
  ++result_.missing;
  if (result_.named.size() < kNamed) {
    result_.named.push_back(Cat(what, ", sequence ", seq.value()));
  }
}

}  // namespace jetd::revision
