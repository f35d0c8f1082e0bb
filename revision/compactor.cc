// SPDX-License-Identifier: Apache-2.0
#include "revision/compactor.h"

#include "base/check.h"

namespace jetd::revision {
namespace {

void Note(const KvBlock* dropped, Garbage* garbage) {
  (dropped->tombstone() ? garbage->tombstones : garbage->superseded).push_back(dropped->seq());
}

}  // namespace

void Compactor::SetHorizon(Revision horizon) {
  JETD_CHECK(horizon >= horizon_) << "from " << horizon_ << " back to " << horizon;
  if (horizon == horizon_) return;
  horizon_ = horizon;
  visited_ = 0;
}

bool Compactor::Step(size_t max_changes, Garbage* garbage) {
  for (size_t n = 0;; ++n) {
    if (visited_ >= log_->size()) return true;
    const KvBlock* change = (*log_)[visited_];
    if (change->mod_revision() > horizon_) return true;
    if (n == max_changes) return false;
    DropOlder(change, garbage);
    if (change->mod_revision() == horizon_) {
      ++visited_;
      continue;
    }
    log_->PopFront();
    if (change->tombstone()) {
      // What is newer than the horizon may be pending, and then never land.
      const KvBlock* newer = KeyIndex::Newer(change);
      const bool last = newer == nullptr || newer->mod_revision() > horizon_;
      (last ? garbage->last_tombstones : garbage->tombstones).push_back(change->seq());
      index_->DropOldest(change);
    }
  }
}

// The version before `v`, unless it is of the horizon's own revision and so still listed (a
// transaction may delete a key and put it again). What was before that one is dropped already.
void Compactor::DropOlder(const KvBlock* v, Garbage* garbage) {
  const KvBlock* older = KeyIndex::Older(v);
  if (older == nullptr || older->mod_revision() >= horizon_) return;
  Note(older, garbage);
  index_->DropOlder(v);
}

}  // namespace jetd::revision
