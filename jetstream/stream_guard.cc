// SPDX-License-Identifier: Apache-2.0
#include "jetstream/stream_guard.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "base/strings.h"
#include "jetstream/subject.h"

namespace jetd::jetstream {
namespace {

struct ApiRequest {
  const char* subject;  // behind the API's prefix, with the stream's name at its end
  const char* name;
};
// What removes records, or changes what the stream keeps. (Restoring a stream needs it gone first.)
constexpr ApiRequest kRequests[] = {
    {"STREAM.PURGE.", "a purge"},
    {"STREAM.MSG.DELETE.", "the deletion of a message"},
    {"STREAM.UPDATE.", "another configuration"},
    {"STREAM.DELETE.", "the deletion of the stream"},
};

}  // namespace

StreamGuard::StreamGuard(Loop* loop, NatsConnection* connection, NatsApi* api, const LogInfo& info,
                         Callbacks callbacks)
    : loop_(loop),
      connection_(connection),
      api_(api),
      info_(info),
      callbacks_(std::move(callbacks)) {
  subscriptions_.push_back(connection_->Subscribe(
      SubjectCodec(info_.bucket).all(), [this](NatsMessage&) { callbacks_.published(); }));
  for (const ApiRequest& request : kRequests) {
    const std::string subject = api_->Subject(Cat(request.subject, StreamName(info_.bucket)));
    subscriptions_.push_back(
        connection_->Subscribe(subject, [this, name = request.name](NatsMessage&) {
          asked_by_others_ = name;
          LookAfter(kSoon);
        }));
  }
  Look();
}

StreamGuard::~StreamGuard() {
  loop_->Cancel(timer_);
  for (const uint64_t subscription : subscriptions_) connection_->Unsubscribe(subscription);
}

void StreamGuard::LookAfter(std::chrono::milliseconds delay) {
  loop_->Cancel(timer_);
  timer_ = loop_->RunAfter(delay, [this] {
    timer_ = 0;
    Look();
  });
}

void StreamGuard::Look() {
  if (looking_) return LookAfter(kSoon);
  looking_ = true;
  counts_.deletes = callbacks_.deletes();
  AskStream(api_, {.bucket = info_.bucket},
            [this, alive = std::weak_ptr(alive_), before = counts_,
             last = last_](absl::StatusOr<StreamFacts> facts) {
              if (alive.expired()) return;
              looking_ = false;
              LookAfter(kPeriod);
              OnFacts(before, last, std::move(facts));
            });
}

absl::Status StreamGuard::Another(const StreamFacts& facts, StreamSeq last) const {
  const std::string stream = Cat("stream ", StreamName(info_.bucket));
  if (facts.created_ns != info_.created_ns) {
    return MakeError(Errc::kUnavailable, Cat(stream, " was made anew"));
  }
  if (facts.state.last < last) {
    return MakeError(Errc::kUnavailable, Cat(stream, " went back to sequence ",
                                             facts.state.last.value(), " from ", last.value()));
  }
  // For the next connection to refuse it.
  if (facts.sealed) return MakeError(Errc::kUnavailable, Cat(stream, " was sealed"));
  if (facts.replicas != info_.replicas) {
    return MakeError(Errc::kUnavailable, Cat(stream, " has ", facts.replicas, " replicas now"));
  }
  return absl::OkStatus();
}

void StreamGuard::OnFacts(const Counts& before, StreamSeq last, absl::StatusOr<StreamFacts> facts) {
  if (absl::IsNotFound(facts.status())) {
    return callbacks_.another(
        MakeError(Errc::kUnavailable, Cat("stream ", StreamName(info_.bucket), " is gone")));
  }
  if (!facts.ok()) return;  // asked again in a second
  if (const absl::Status another = Another(*facts, last); !another.ok()) {
    return callbacks_.another(another);
  }
  const std::weak_ptr<bool> alive(alive_);
  const std::string wrong(facts->usable.ok() ? "" : MessageOf(facts->usable));
  if (wrong != std::exchange(told_config_, wrong) && !wrong.empty()) {
    callbacks_.meddling({.kind = Meddling::Kind::kConfig, .what = wrong});
  }
  if (!alive.expired()) CompareCount(facts->state.messages, before);
}

// When the server counted, at least what was answered before the question was there, at most what
// was sent by now; and gone of ours at least what was deleted before it, at most what was asked for
// by now. So what was there before us lies between two numbers:
//   least = messages - sent by now + deleted before       most = messages - answered before + asked
//   by now
void StreamGuard::CompareCount(uint64_t messages, const Counts& before) {
  const auto count = static_cast<int64_t>(messages);
  const NatsRecords::Deletes deletes = callbacks_.deletes();
  const int64_t least =
      count - static_cast<int64_t>(counts_.sent) + static_cast<int64_t>(before.deletes.made);
  const int64_t most =
      count - static_cast<int64_t>(before.appended) + static_cast<int64_t>(deletes.asked);
  const std::string asked = std::exchange(asked_by_others_, {});
  const int64_t missing = base_.has_value() ? std::max<int64_t>(0, *base_ - most) : 0;
  base_ = missing > 0 ? least : std::max(least, base_.value_or(least));
  if (missing == 0 && asked.empty()) return;
  std::string what = asked.empty() ? std::string("nobody was heard to ask for that")
                                   : Cat("somebody asked for ", asked);
  if (missing > 0) what = Cat("at least ", missing, " records are gone; ", what);
  callbacks_.meddling({.kind = Meddling::Kind::kRemoved, .what = std::move(what)});
}

}  // namespace jetd::jetstream
