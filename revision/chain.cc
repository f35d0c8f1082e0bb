// SPDX-License-Identifier: Apache-2.0
#include "revision/chain.h"

#include "base/check.h"

namespace jetd::revision {

void Chain::Reset(StreamSeq last) {
  landed_ = sent_ = last;
  records_.clear();
  in_flight_bytes_ = 0;
  refused_ = false;
}

void Chain::Push(const PlannedRecord* record) { records_.push_back(record); }

void Chain::SendMore() {
  while (sent_.Next() < next()) {
    const size_t in_flight = sent_.value() - landed_.value();
    const PlannedRecord& record = *records_[in_flight];
    const bool room = in_flight < limits::kMaxInFlightRecords &&
                      in_flight_bytes_ + record.size_bytes() <= limits::kMaxInFlightBytes;
    if (!room && in_flight > 0) return;
    sent_ = sent_.Next();
    in_flight_bytes_ += record.size_bytes();
    ++unanswered_;
    log_->Append(sent_, record.view());
  }
}

void Chain::PopFront() {
  JETD_CHECK(!records_.empty()) << "chain: nothing is pending at " << landed_.Next();
  landed_ = landed_.Next();
  if (sent_ < landed_) {
    sent_ = landed_;
  } else {
    in_flight_bytes_ -= records_.front()->size_bytes();
  }
  records_.pop_front();
}

bool Chain::OnAppended(StreamSeq seq) {
  if (unanswered_ > 0) --unanswered_;
  if (refused_ || seq <= landed_ || seq > sent_) return false;
  JETD_CHECK(seq == landed_.Next())
      << "chain: an answer for " << seq << " came before the one for " << landed_.Next();
  PopFront();
  return true;
}

void Chain::OnRefused() {
  if (unanswered_ > 0) --unanswered_;
  refused_ = true;
}

bool Chain::OnFound(const jetstream::Record& found) {
  if (found.seq != landed_.Next() || records_.empty() || !records_.front()->Matches(found)) {
    return false;
  }
  PopFront();
  return true;
}

void Chain::Rewind() {
  JETD_CHECK(unanswered_ == 0) << "chain: rewound with " << unanswered_ << " answers to come";
  sent_ = landed_;
  in_flight_bytes_ = 0;
  refused_ = false;
}

}  // namespace jetd::revision
