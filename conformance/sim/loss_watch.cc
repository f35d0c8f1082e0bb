// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/loss_watch.h"

#include <string>
#include <utility>

namespace jetd::conformance::sim {

LossWatch::LossWatch(Run* run, SimMember* member, Revision start)
    : run_(run), member_(member), start_(start), stream_(member->hub().OpenStream(this)) {
  watch::CreateRequest all;
  all.key = all.range_end = std::string(1, '\0');
  all.start_revision = start;
  stream_->Create(all);
}

void LossWatch::Write() {
  if (const size_t bytes = std::exchange(unwritten_, 0); bytes > 0) stream_->Written(bytes);
}

void LossWatch::Deliver(watch::Response response) {
  unwritten_ += response.size_bytes();
  if (over_) return run_->Fail("a watch on ", member_->name(), " goes on behind its end");
  if (response.created) seen_ = start_ == Revision{} ? response.revision : start_.Prev();
  for (const revision::Change& event : response.events) {
    const Revision revision = event.kv->mod_revision();
    if (revision != seen_ && revision != seen_.Next()) {
      return run_->Fail("a watch on ", member_->name(), " gets revision ", revision.value(),
                        " behind ", seen_.value());
    }
    seen_ = revision;
  }
  over_ = response.canceled;
}

void LossWatch::JudgeEnded(Revision shown) const {
  if (seen_ > shown) {
    run_->Fail("a watch on ", member_->name(), " goes on to revision ", seen_.value(),
               ", behind the loss of what was shown up to ", shown.value());
  }
  if (member_->alive() && !over_) {
    run_->Fail("a watch on ", member_->name(), " waits behind revision ", seen_.value(),
               ", which is lost");
  }
}

}  // namespace jetd::conformance::sim
