// SPDX-License-Identifier: Apache-2.0
#include "conformance/sim/watch_clients.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/strings.h"

namespace jetd::conformance::sim {
namespace {

// More watches than this do not wait for a new member: their clients give up.
constexpr size_t kMaxHomeless = 8;

}  // namespace

// ---- One watch ----------------------------------------------------------------------------------

std::string Watch::Name() const {
  return Cat("a watch of ", request_.key, request_.range_end.empty() ? "" : "..",
             request_.range_end);
}

void Watch::SetPosition(Revision revision) {
  if (revision <= position_) return;
  position_ = revision;
  request_.start_revision = revision;
  if (due_ >= position_) return;
  due_ = position_;
  due_sub_ = 0;
}

const Version* Watch::Due() {
  const revision::KeyRange range{request_.key, request_.range_end};
  for (; due_ <= ledger_->newest(); due_ = due_.Next(), due_sub_ = 0) {
    if (due_ < Revision(2)) continue;
    const std::vector<Version>& changes = ledger_->At(due_);
    for (; due_sub_ < changes.size(); ++due_sub_) {
      const Version& v = changes[due_sub_];
      const bool filtered = v.tombstone ? request_.no_delete : request_.no_put;
      if (!filtered && range.Contains(v.key)) return &v;
    }
  }
  return nullptr;
}

void Watch::OnCreated(const watch::Response& response) {
  id_ = response.watch_id;
  if (response.revision > ledger_->newest()) {
    run_->Fail(Name(), " is created at revision ", response.revision.value());
  }
  const bool from_now = request_.start_revision == Revision{};
  SetPosition(from_now ? response.revision.Next() : request_.start_revision);
}

void Watch::OnEvents(const watch::Response& response) {
  for (const revision::Change& event : response.events) {
    OnEvent(event);
    if (run_->failed()) return;
  }
  const Revision last = response.events.back().kv->mod_revision();
  ledger_->Tell(last);
  if (response.revision < last || response.revision > ledger_->newest()) {
    run_->Fail(Name(), " gets events to ", last.value(), " under revision ",
               response.revision.value());
  }
  if (response.fragment) return;
  if (const Version* due = Due(); due != nullptr && due->mod <= last) {
    run_->Fail(Name(), " gets a part of revision ", last.value(), ", without ", ToString(*due));
  }
  SetPosition(last.Next());
}

void Watch::OnEvent(const revision::Change& event) {
  ++run_->tally.events;
  const Version* due = Due();
  if (due == nullptr || !Same(*due, *event.kv)) {
    return run_->Fail(Name(), " gets ", std::string(event.kv->key()), " of revision ",
                      event.kv->mod_revision().value(), ", not ",
                      due == nullptr ? "nothing" : ToString(*due));
  }
  CheckPrev(event);
  ++due_sub_;
}

void Watch::CheckPrev(const revision::Change& event) {
  const Revision before = event.kv->mod_revision().Prev();
  const Version* prev = request_.prev_kv ? ledger_->Live(event.kv->key(), before) : nullptr;
  if (!event.prev) {
    // What was compacted away is not shown.
    if (prev != nullptr && before >= ledger_->compacted()) {
      run_->Fail(Name(), " gets an event of ", before.Next().value(), " without ", ToString(*prev));
    }
  } else if (prev == nullptr || !Same(*prev, *event.prev)) {
    run_->Fail(Name(), " gets with an event of ", before.Next().value(), " another prev_kv, of ",
               event.prev->mod_revision().value());
  }
}

void Watch::OnProgress(Revision revision) {
  ++run_->tally.progress;
  if (revision > ledger_->newest()) run_->Fail(Name(), " has progress to ", revision.value());
  if (const Version* due = Due(); due != nullptr && due->mod <= revision) {
    run_->Fail(Name(), " has progress to ", revision.value(), ", and did not get ", ToString(*due));
  }
  ledger_->Tell(revision);
  SetPosition(revision.Next());
}

void Watch::OnCanceled(const watch::Response& response, bool asked) {
  over_ = true;
  if (asked) return;
  const Revision compacted = response.compact_revision;
  if (compacted == Revision{}) {
    return run_->Fail(Name(), " is canceled: ", response.cancel_reason);
  }
  ++run_->tally.compacted;
  if (compacted > ledger_->compacted() || position_ >= compacted) {
    run_->Fail(Name(), " at ", position_.value(), " is canceled as compacted at ",
               compacted.value());
  }
  // Its client lists, and watches from there.
  request_.start_revision = compacted;
}

void Watch::JudgeComplete() {
  if (over_) return;
  if (const Version* due = Due(); due != nullptr) {
    run_->Fail(Name(), " from ", position_.value(), " on misses ", ToString(*due));
  }
}

// ---- A client -----------------------------------------------------------------------------------

Watch* WatchClient::Find(WatchId id) {
  const auto found = std::find_if(watches_.begin(), watches_.end(),
                                  [id](const auto& watch) { return watch->id() == id; });
  return found == watches_.end() ? nullptr : found->get();
}

void WatchClient::Create(std::unique_ptr<Watch> watch) {
  const watch::CreateRequest request = watch->request();
  run_->Trace("to ", member_->name(), ": watch ", request.key, "..", request.range_end, " from ",
              request.start_revision.value());
  ++run_->tally.watches;
  creating_ = std::move(watch);
  stream_->Create(request);
  if (creating_ != nullptr) run_->Fail("a watch is not created at once");
}

void WatchClient::CancelOne() {
  if (watches_.empty()) return;
  Watch* watch = watches_[run_->random.Pick(watches_.size())].get();
  if (watch->over()) return;
  canceling_ = watch->id();
  stream_->Cancel(canceling_);
  canceling_ = WatchId(-1);
  if (!watch->over()) run_->Fail("a canceled watch is not told so");
  std::erase_if(watches_, [watch](const auto& one) { return one.get() == watch; });
}

void WatchClient::Deliver(watch::Response response) {
  unwritten_ += response.size_bytes();
  if (response.created) {
    if (creating_ == nullptr || response.canceled) {
      return run_->Fail("a watch cannot be created: ", response.cancel_reason);
    }
    watches_.push_back(std::move(creating_));
    return watches_.back()->OnCreated(response);
  }
  if (response.watch_id == WatchId(-1)) return OnStreamProgress(response.revision);
  Watch* watch = Find(response.watch_id);
  // The answer to the cancellation of one that was canceled as compacted before.
  if (response.canceled && watch != nullptr && watch->id() == canceling_ && watch->over()) return;
  if (watch == nullptr || watch->over()) {
    return run_->Fail("a response for watch ", response.watch_id.value(), ", which is over");
  }
  if (response.canceled) {
    watch->OnCanceled(response, response.watch_id == canceling_);
  } else if (response.events.empty()) {
    watch->OnProgress(response.revision);
  } else {
    watch->OnEvents(response);
  }
}

void WatchClient::OnStreamProgress(Revision revision) {
  for (const auto& watch : watches_) {
    if (!watch->over()) watch->OnProgress(revision);
  }
}

void WatchClient::Write(size_t percent) {
  if (unwritten_ == 0) return;
  const size_t bytes = unwritten_ * percent / 100;
  unwritten_ -= bytes;
  stream_->Written(bytes);
}

void WatchClient::JudgeComplete() {
  for (const auto& watch : watches_) watch->JudgeComplete();
}

std::vector<watch::CreateRequest> WatchClient::Close() {
  std::vector<watch::CreateRequest> requests;
  for (const auto& watch : watches_) requests.push_back(watch->request());
  stream_.reset();
  watches_.clear();
  return requests;
}

std::vector<watch::CreateRequest> WatchClient::TakeCompacted() {
  std::vector<watch::CreateRequest> requests;
  for (const auto& watch : watches_) {
    if (!watch->over()) continue;
    requests.push_back(watch->request());
    canceling_ = watch->id();
    stream_->Cancel(canceling_);  // as clients do: its id stays taken until then
    canceling_ = WatchId(-1);
  }
  std::erase_if(watches_, [](const auto& watch) { return watch->over(); });
  return requests;
}

// ---- All of them --------------------------------------------------------------------------------

watch::CreateRequest WatchClients::NewRequest() {
  Random& random = run_->random;
  watch::CreateRequest request;
  maker_->ChooseRange(&request.key, &request.range_end);
  const int64_t newest = ledger_->newest().value();
  const size_t from = random.Pick(100);
  if (from >= 90) {
    request.start_revision = Revision(newest + random.Between(1, 8));
  } else if (from >= 45) {
    request.start_revision = Revision(std::max<int64_t>(newest - random.Between(0, 40), 1));
  }
  request.prev_kv = random.Chance(40);
  request.no_put = random.Chance(6);
  request.no_delete = random.Chance(8);
  request.progress_notify = random.Chance(30);
  request.fragment = random.Chance(20);
  return request;
}

void WatchClients::Open(SimMember* member, watch::CreateRequest request) {
  WatchClient* client = nullptr;
  for (const auto& one : clients_) {
    if (one->member() == member && one->watches() < 4) client = one.get();
  }
  if (client == nullptr) {
    clients_.push_back(std::make_unique<WatchClient>(run_, ledger_, member));
    client = clients_.back().get();
  }
  client->Create(std::make_unique<Watch>(run_, ledger_, std::move(request)));
}

WatchClient* WatchClients::Some() {
  return clients_.empty() ? nullptr : clients_[run_->random.Pick(clients_.size())].get();
}

void WatchClients::Act(SimMember* member) {
  const size_t what = run_->random.Pick(100);
  WatchClient* client = Some();
  if (!homeless_.empty()) {
    watch::CreateRequest request = std::move(homeless_.back());
    homeless_.pop_back();
    Open(member, std::move(request));
  } else if (client == nullptr || (what < 35 && clients_.size() < 6)) {
    Open(member, NewRequest());
  } else if (what < 50) {
    client->CancelOne();
  } else if (what < 80) {
    client->AskProgress();
  } else {
    Close(run_->random.Pick(clients_.size()));
  }
}

void WatchClients::Close(size_t which) {
  const auto at = clients_.begin() + static_cast<std::ptrdiff_t>(which);
  for (watch::CreateRequest& request : (*at)->Close()) {
    if (homeless_.size() < kMaxHomeless) homeless_.push_back(std::move(request));
  }
  clients_.erase(at);
}

void WatchClients::Step() {
  for (const auto& client : clients_) {
    for (watch::CreateRequest& request : client->TakeCompacted()) {
      client->Create(std::make_unique<Watch>(run_, ledger_, std::move(request)));
    }
    // Some never hurry, which is theirs to be.
    if (run_->random.Chance(20)) client->Write(run_->random.Chance(50) ? 100 : 60);
  }
}

void WatchClients::OnMemberGone(const SimMember* member) {
  for (size_t i = clients_.size(); i-- > 0;) {
    if (clients_[i]->member() == member) Close(i);
  }
}

void WatchClients::MoveAll(SimMember* member) {
  for (size_t i = clients_.size(); i-- > 0;) {
    if (clients_[i]->member() != member) Close(i);
  }
  OpenHomeless(member);
}

void WatchClients::OpenHomeless(SimMember* member) {
  for (watch::CreateRequest& request : std::exchange(homeless_, {})) {
    Open(member, std::move(request));
  }
}

bool WatchClients::Drain() {
  bool idle = true;
  for (const auto& client : clients_) {
    idle = idle && client->idle();
    client->Write(100);
    for (watch::CreateRequest& request : client->TakeCompacted()) {
      idle = false;
      client->Create(std::make_unique<Watch>(run_, ledger_, std::move(request)));
    }
  }
  return idle;
}

void WatchClients::JudgeComplete() {
  for (const auto& client : clients_) client->JudgeComplete();
}

}  // namespace jetd::conformance::sim
