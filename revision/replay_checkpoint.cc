// SPDX-License-Identifier: Apache-2.0
//
// The start from a checkpoint: the control records behind it, two records that prove that the
// stream is still the one that it is of, and then the file.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/strings.h"
#include "revision/replay.h"

namespace jetd::revision {

using Kind = jetstream::SubjectCodec::Kind;

namespace {

template <typename... Pieces>
absl::Status Unfit(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, pieces...);
}

}  // namespace

void Replay::OpenCheckpoint() {
  checkpoint_.reset();
  term_of_checkpoint_.reset();
  end_of_checkpoint_found_ = false;
  auto checkpoint = Checkpoint::Open(checkpoint_path_);
  if (!checkpoint.ok()) {
    // Of a later version perhaps, as the stream may be: then nothing is touched (R9).
    unreadable_ = checkpoint.status();
    return;
  }
  const CheckpointHead& head = (*checkpoint)->head();
  if (!log_->exclusive()) {
    DropCheckpoint(Unfit("others may write to the stream"));
  } else if (head.bucket != info_.bucket || head.created_ns != info_.created_ns) {
    DropCheckpoint(Unfit("it is of another stream"));
  } else {
    checkpoint_ = *std::move(checkpoint);
  }
}

// All comes from the stream.
void Replay::DropCheckpoint(const absl::Status& why) {
  if (!absl::IsNotFound(why)) {
    log::Info("the checkpoint is not used, all comes from the stream: {}", MessageOf(why));
  }
  if (!checkpoint_path_.empty()) RemoveCheckpoint(std::exchange(checkpoint_path_, {}));
  checkpoint_.reset();
  store_->Clear();
  error_ = absl::OkStatus();
  tidied_now_ = StreamSeq{};
}

void Replay::DropUnreadable() {
  if (unreadable_.ok() || !error_.ok()) return;
  const StreamSeq tidied = tidied_now_;
  DropCheckpoint(std::exchange(unreadable_, absl::OkStatus()));
  tidied_now_ = tidied;  // of the reading that goes on
}

absl::Status Replay::FitsTail(StreamSeq last) const {
  const StreamSeq end = checkpoint_->head().seq;
  if (last < end)
    return Unfit("it goes to sequence ", end.value(), ", the stream to ", last.value());
  // By the term records behind it.
  if (!known_voids_.empty() && known_voids_.first() <= end) {
    return Unfit("what it holds was voided");
  }
  // What hid a value, or came after it, may be gone from the stream.
  if (tidied_now_ > StreamSeq{}) return Unfit("the stream was compacted since");
  return absl::OkStatus();
}

// Whoever writes begins with a term record. So if the stream lost its tail and others wrote in its
// place, the record at the end of the checkpoint is of another term; or of the same, if the term
// record was lost too, but then that one is another.
void Replay::ProveCheckpoint(const jetstream::Record& record) {
  const CheckpointHead& head = checkpoint_->head();
  const std::optional<Held> held = Decode(record);
  if (!held.has_value()) return;
  if (record.seq == head.seq) end_of_checkpoint_found_ = held->header.term == head.term;
  if (record.seq != head.term_seq || held->kind != Kind::kTerm) return;
  auto term = jetstream::DecodeTerm(held->payload);
  if (term.ok() && term->term == head.term && term->incarnation == head.incarnation) {
    term_of_checkpoint_ = *std::move(term);
  }
}

void Replay::TryCheckpoint(StreamSeq last) {
  if (!error_.ok()) {
    // R9, with nothing touched.
    checkpoint_.reset();
    std::exchange(done_, nullptr)(std::exchange(error_, absl::OkStatus()));
    return;
  }
  if (absl::Status status = FitsTail(last); !status.ok()) {
    DropCheckpoint(status);
    ReadControl();
    return;
  }
  const CheckpointHead& head = checkpoint_->head();
  std::vector<StreamSeq> proof = {head.seq};
  if (head.term_seq != head.seq) proof.push_back(head.term_seq);
  log_->Get(
      proof, [this](const jetstream::Record& record) { ProveCheckpoint(record); },
      [this](const absl::Status& status) {
        if (!status.ok()) {
          std::exchange(done_, nullptr)(status);
          return;
        }
        if (absl::Status loaded = LoadCheckpoint(); !loaded.ok()) {
          DropCheckpoint(loaded);
          ReadControl();
          return;
        }
        ReadAll();
      });
}

absl::Status Replay::LoadCheckpoint() {
  if (!end_of_checkpoint_found_ || !term_of_checkpoint_.has_value()) {
    return Unfit("another member led at its sequence");
  }
  // From now on the files change to which it refers.
  if (!RemoveCheckpoint(checkpoint_path_)) return Unfit("it cannot be removed");
  checkpoint_path_.clear();
  const std::unique_ptr<Checkpoint> checkpoint = std::move(checkpoint_);
  if (auto status = checkpoint->Load(store_); !status.ok()) return status;
  const CheckpointHead& head = checkpoint->head();
  log::Info("began at the checkpoint of sequence {}, revision {}", head.seq.value(),
            head.revision.value());
  // As after both readings of what it holds; the first one of what is behind it is done too.
  position_ = applied_ = tidied_ = head.seq;
  terms_ = std::max(terms_now_, head.seq);
  revision_ = head.revision;
  change_ = {head.revision, UINT32_MAX};
  compacted_ = std::max(compacted_, head.compacted);
  term_ = head.term;
  result_.term = head.term;
  result_.leader = *std::exchange(term_of_checkpoint_, std::nullopt);
  result_.system = head.system;
  result_.alarms = head.alarms;
  result_.garbage = {
      .superseded = head.hidden, .tombstones = head.markers, .last_tombstones = head.last_markers};
  return absl::OkStatus();
}

}  // namespace jetd::revision
