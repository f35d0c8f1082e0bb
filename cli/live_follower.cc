// SPDX-License-Identifier: Apache-2.0
#include "cli/live_follower.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>

#include "absl/hash/hash.h"
#include "base/limits.h"
#include "base/strings.h"

namespace jetd::cli {
namespace {

using replication::BucketState;
using revision::KvBlock;
using revision::KvRef;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;
using Phase = LiveFollower::Progress::Phase;

constexpr std::chrono::milliseconds kTurn{100};
constexpr std::chrono::milliseconds kLook{1'000};
constexpr std::chrono::milliseconds kReopenPause{500};
constexpr int kMaxReopens = 120;
// At the cut-over: how long events may be missing before all is compared anyway.
constexpr std::chrono::seconds kStragglers{2};
// Readings that the server has compacted while they went on.
constexpr int kMaxReadings = 5;
// What waits to be taken. Beyond: the watch is not read, and its server waits.
constexpr size_t kMaxWaiting = 20'000;
// Keys that differ and are asked for one by one; of more, the reading is believed.
constexpr size_t kMaxAskedAgain = 10'000;
constexpr size_t kMaxNamed = 5;

KvRef Tombstone(const mvccpb::KeyValue& kv, uint32_t sub) {
  return KvBlock::Make(
      {.key = kv.key(), .mod = {Revision(kv.mod_revision()), sub}, .tombstone = true});
}

bool IsCompacted(const absl::Status& status) {
  return absl::IsOutOfRange(status) &&
         MessageOf(status).find("compacted") != std::string_view::npos;
}

bool Within(const replication::KeySelection::Range& range, std::string_view key) {
  const std::string_view none("\0", 1);
  return key >= range.begin && (range.end == none || key < range.end);
}

}  // namespace

LiveFollower::LiveFollower(LiveStore* store, Options options)
    : store_(store), options_(std::move(options)) {
  thread_ = std::thread([this] { Run(); });
}

LiveFollower::~LiveFollower() {
  {
    MutexLock lock(mutex_);
    stop_ = true;
    taken_.NotifyAll();
  }
  thread_.join();
}

absl::Status LiveFollower::status() const {
  MutexLock lock(mutex_);
  return status_;
}

LiveFollower::Progress LiveFollower::progress() const {
  MutexLock lock(mutex_);
  return progress_;
}

std::optional<LiveFollower::Item> LiveFollower::Take() {
  MutexLock lock(mutex_);
  if (items_.empty()) return std::nullopt;
  Item first = std::move(items_.front());
  items_.pop_front();
  taken_.NotifyAll();
  return first;
}

bool LiveFollower::Drained() const {
  MutexLock lock(mutex_);
  return items_.empty();
}

void LiveFollower::Run() {
  absl::Status status = Work();
  {
    MutexLock lock(mutex_);
    status_ = std::move(status);
  }
  options_.wake();
}

// ---- What is given ------------------------------------------------------------------------------

LiveFollower::Given LiveFollower::GivenOf(const KvBlock& kv) {
  return {.create = kv.create_revision().value(),
          .mod = kv.mod_revision().value(),
          .version = kv.version(),
          .lease = kv.lease().value(),
          .value = absl::HashOf(ToAbsl(kv.value()))};
}

void LiveFollower::Give(Item item) {
  {
    MutexLock lock(mutex_);
    while (items_.size() >= kMaxWaiting && !stop_) taken_.Wait(mutex_);
    items_.push_back(std::move(item));
    progress_.seen = seen_;
  }
  options_.wake();
}

void LiveFollower::GiveWhole(BucketState state, std::string why) {
  given_.clear();
  leases_.clear();
  for (const KvRef& kv : state.keys) given_[std::string(kv->key())] = GivenOf(*kv);
  for (const LeaseInfo& lease : state.leases) leases_.insert(lease.id);
  seen_ = state.revision;
  Give(Whole{std::move(state), std::move(why)});
}

void LiveFollower::GiveChange(Change change) {
  for (const KvRef& kv : change.keys) {
    if (kv->tombstone()) {
      given_.erase(std::string(kv->key()));
    } else {
      given_[std::string(kv->key())] = GivenOf(*kv);
    }
  }
  for (const LeaseInfo& lease : change.leases) leases_.insert(lease.id);
  seen_ = change.keys.front()->mod_revision();
  Give(std::move(change));
}

// ---- Readings -----------------------------------------------------------------------------------

absl::StatusOr<BucketState> LiveFollower::ReadAt(Revision at, Phase phase) {
  const uint64_t of = store_->CountKeys();
  {
    MutexLock lock(mutex_);
    progress_ = {.phase = phase, .of = of, .seen = seen_, .newest = at};
  }
  LiveStore::ReadOptions read;
  read.ranges = {store_->everything()};
  read.at = at;
  read.interrupted = phase == Phase::kReading ? options_.interrupted : &stop_;
  read.progress = [this](uint64_t keys, uint64_t /*bytes*/) {
    MutexLock lock(mutex_);
    progress_.keys = keys;
  };
  auto state = store_->ReadKeys(read);
  if (!state.ok()) return state.status();
  auto leases = store_->ReadLeases(state->keys);
  if (!leases.ok()) return leases.status();
  std::set<LeaseId> there;
  for (const LeaseInfo& lease : *leases) there.insert(lease.id);
  // One that ended since: its keys are about to go, and so it ends here too.
  for (const KvRef& kv : state->keys) {
    if (kv->lease() != LeaseId{} && there.insert(kv->lease()).second) {
      leases->push_back({kv->lease(), limits::kMinLeaseTtlSeconds});
    }
  }
  state->leases = *std::move(leases);
  const auto mends = replication::Mend(&*state);
  if (!mends.ok()) return mends.status();
  return state;
}

// At the newest revision, or that of `until`.
absl::StatusOr<BucketState> LiveFollower::ReadNow(Phase phase) {
  absl::Status why;
  for (int reading = 0; reading < kMaxReadings; ++reading) {
    const auto newest = store_->CurrentRevision();
    if (!newest.ok()) return newest.status();
    const bool reached = options_.until != Revision{} && options_.until <= *newest;
    auto state = ReadAt(reached ? options_.until : *newest, phase);
    if (state.ok() || reached || !IsCompacted(state.status())) return state;
    why = state.status();
  }
  return MakeStatus(why.code(), MessageOf(why), ": it compacts faster than its keys can be read, ",
                    kMaxReadings, " times");
}

absl::Status LiveFollower::Work() {
  auto state = ReadNow(Phase::kReading);
  if (!state.ok()) return state.status();
  if (interrupted()) return absl::CancelledError("interrupted");
  if (!options_.follow || state->revision == options_.until) {
    BucketState end = *state;
    GiveWhole(*std::move(state), "");
    const auto newest = store_->CurrentRevision();
    Give(End{std::move(end), newest.ok() ? *newest : seen_});
    return absl::OkStatus();
  }
  // From here on nobody but who takes it holds the values of the first reading.
  GiveWhole(*std::move(state), "");
  if (absl::Status followed = Follow(); !followed.ok()) return followed;
  return CutOver();
}

// ---- Following ----------------------------------------------------------------------------------

absl::Status LiveFollower::Follow() {
  changed_at_ = steady_clock::now();
  absl::Status why;
  for (int reopens = 0; reopens < kMaxReopens && !stop_; ++reopens) {
    {
      MutexLock lock(mutex_);
      progress_ = {.phase = Phase::kFollowing, .seen = seen_, .newest = seen_};
    }
    pb::WatchRequest request;
    pb::WatchCreateRequest* const create = request.mutable_create_request();
    create->set_key(store_->everything().begin);
    create->set_range_end(store_->everything().end);
    create->set_start_revision(seen_.Next().value());
    const Revision before = seen_;
    {
      const auto watch = store_->client()->OpenWatch();
      watch->Send(request);
      why = FollowOnce(watch.get());
    }
    if (why.ok()) return why;
    if (seen_ > before) reopens = 0;
    if (IsCompacted(why)) {
      auto state = ReadNow(Phase::kFollowing);
      if (!state.ok()) return state.status();
      GiveWhole(*std::move(state), "the old store has compacted what was to be followed next");
      continue;
    }
    if (absl::IsCancelled(why)) return why;
    std::this_thread::sleep_for(kReopenPause);
    // Where it fails the watch ends again, and says why.
    (void)store_->Reconnect();
  }
  return stop_ ? absl::CancelledError("interrupted") : why;
}

// Where the old store is, and whether that is where it ends.
absl::Status LiveFollower::LookWhereItIs() {
  const auto now = steady_clock::now();
  const bool idle =
      options_.until_idle.has_value() && Drained() && now - changed_at_ >= *options_.until_idle;
  bool ends = idle || interrupted();
  if (!ends && now - looked_at_ < kLook) return absl::OkStatus();
  looked_at_ = now;
  const auto newest = store_->CurrentRevision();
  if (!newest.ok()) return newest.status();
  {
    MutexLock lock(mutex_);
    progress_.newest = std::max(progress_.newest, *newest);
  }
  if (*newest > newest_) {
    newest_ = *newest;
    changed_at_ = now;  // whether or not the watch has told of it
    ends = interrupted();
  }
  if (ends) cut_over_ = *newest;
  if (options_.until != Revision{} && options_.until <= *newest) cut_over_ = options_.until;
  return absl::OkStatus();
}

// OK: up to the cut-over. OutOfRange: what comes next is compacted. Cancelled: no more is wanted.
// Anything else: try again.
absl::Status LiveFollower::FollowOnce(etcdclient::WatchStream* watch) {
  std::optional<steady_clock::time_point> deadline;
  while (!stop_) {
    if (!cut_over_.has_value()) {
      if (absl::Status looked = LookWhereItIs(); !looked.ok()) return looked;
    }
    if (cut_over_.has_value()) {
      if (seen_ >= *cut_over_) return absl::OkStatus();
      // A revision need not have an event that this watch sees.
      if (!deadline.has_value()) deadline = steady_clock::now() + kStragglers;
      if (steady_clock::now() > *deadline) return absl::OkStatus();
    }
    const auto response = watch->Next(kTurn);
    if (response.ok()) {
      if (absl::Status taken = OnResponse(*response); !taken.ok()) return taken;
      continue;
    }
    const bool quiet = absl::IsDeadlineExceeded(response.status()) &&
                       MessageOf(response.status()) == "no message in time";
    if (quiet) continue;
    return MakeStatus(absl::StatusCode::kUnavailable,
                      "the watch ended: ", MessageOf(response.status()));
  }
  return absl::CancelledError("interrupted");
}

absl::Status LiveFollower::OnResponse(const pb::WatchResponse& response) {
  if (!response.canceled()) return TakeEvents(response);
  if (response.compact_revision() == 0) {
    return MakeStatus(absl::StatusCode::kUnavailable,
                      "the watch was cancelled: ", response.cancel_reason());
  }
  return MakeStatus(absl::StatusCode::kOutOfRange, "revision ", seen_.Next().value(),
                    " is compacted");
}

absl::Status LiveFollower::AddLease(LeaseId lease, Change* change) {
  if (lease == LeaseId{} || leases_.contains(lease)) return absl::OkStatus();
  const auto here = [lease](const LeaseInfo& one) { return one.id == lease; };
  if (std::any_of(change->leases.begin(), change->leases.end(), here)) return absl::OkStatus();
  const auto ttl = store_->LeaseTtl(lease);
  if (!ttl.ok()) return ttl.status();
  change->leases.push_back(
      {lease, std::clamp<int64_t>(*ttl, limits::kMinLeaseTtlSeconds, limits::kMaxLeaseTtlSeconds)});
  return absl::OkStatus();
}

// What comes twice, late or of other keys is left out: the comparison in the end tells whether that
// was right.
absl::Status LiveFollower::TakeEvents(const pb::WatchResponse& response) {
  for (int i = 0; i < response.events_size();) {
    const Revision mod(response.events(i).kv().mod_revision());
    if (options_.until != Revision{} && mod >= options_.until) cut_over_ = options_.until;
    Change change;
    // Those of one revision come together, and in order.
    for (; i < response.events_size() && response.events(i).kv().mod_revision() == mod.value();
         ++i) {
      const mvccpb::KeyValue& kv = response.events(i).kv();
      const bool past = cut_over_.has_value() && mod > *cut_over_;
      if (mod <= seen_ || past || !Within(store_->everything(), kv.key())) continue;
      const bool deleted = response.events(i).type() == mvccpb::Event::DELETE;
      const auto sub = static_cast<uint32_t>(change.keys.size());
      change.keys.push_back(deleted ? Tombstone(kv, sub) : replication::MendedKey(KvOf(kv, sub)));
      if (deleted) continue;
      if (absl::Status added = AddLease(LeaseId(kv.lease()), &change); !added.ok()) return added;
    }
    if (change.keys.empty()) continue;
    changed_at_ = steady_clock::now();
    GiveChange(std::move(change));
  }
  return absl::OkStatus();
}

// ---- The cut-over -------------------------------------------------------------------------------

std::string LiveFollower::Compare(const BucketState& end, std::vector<std::string>* keys) const {
  uint64_t differ = 0;
  std::string text;
  const auto note = [&](const std::string& key, std::string_view how) {
    keys->push_back(key);
    if (++differ <= kMaxNamed) CatTo(text, text.empty() ? "" : ", ", key.substr(0, 200), " ", how);
  };
  size_t found = 0;
  for (const KvRef& kv : end.keys) {
    const std::string key(kv->key());
    const auto given = given_.find(key);
    if (given == given_.end()) {
      note(key, "was missing");
      continue;
    }
    ++found;
    if (given->second == GivenOf(*kv)) continue;
    note(key,
         Cat("was that of revision ", given->second.mod, " and not ", kv->mod_revision().value()));
  }
  if (found < given_.size()) {
    std::set<std::string_view> there;
    for (const KvRef& kv : end.keys) there.insert(kv->key());
    for (const auto& [key, given] : given_) {
      if (!there.contains(key)) note(key, "is not there any more");
    }
  }
  if (differ == 0) return "";
  return Cat("of the changes that the old store told some were missing or wrong: ", differ,
             differ == 1 ? " key differs" : " keys differ", " (", text,
             differ > kMaxNamed ? ", ..." : "", ")");
}

// A list may leave a key out that is there: what was given is asked for once more.
absl::Status LiveFollower::AskAgain(const std::vector<std::string>& keys, BucketState* end) {
  if (keys.size() > kMaxAskedAgain) return absl::OkStatus();
  std::map<std::string, KvRef> now;
  for (const std::string& key : keys) {
    auto kv = store_->Get(key);
    if (!kv.ok()) return kv.status();
    // Of one that has changed or gone since, the reading alone can tell.
    if (bool(*kv) && (*kv)->mod_revision() <= end->revision) now[key] = *std::move(kv);
  }
  const auto asked = [&now](const KvRef& kv) { return now.contains(std::string(kv->key())); };
  end->keys.erase(std::remove_if(end->keys.begin(), end->keys.end(), asked), end->keys.end());
  for (auto& [key, kv] : now) end->keys.push_back(std::move(kv));
  return replication::Mend(end).status();
}

absl::Status LiveFollower::CutOver() {
  auto end = ReadAt(*cut_over_, Phase::kComparing);
  if (!end.ok()) return end.status();
  std::vector<std::string> keys;
  if (!Compare(*end, &keys).empty()) {
    if (absl::Status asked = AskAgain(keys, &*end); !asked.ok()) return asked;
    std::string differs = Compare(*end, &keys);
    if (!differs.empty()) GiveWhole(*end, std::move(differs));
  }
  Leases leases{.revision = end->revision, .granted = {}, .gone = {}};
  std::set<LeaseId> there;
  for (const LeaseInfo& lease : end->leases) {
    there.insert(lease.id);
    if (!leases_.contains(lease.id)) leases.granted.push_back(lease);
  }
  for (const LeaseId id : leases_) {
    if (!there.contains(id)) leases.gone.push_back(id);
  }
  if (!leases.gone.empty() || !leases.granted.empty()) Give(std::move(leases));
  const auto newest = store_->CurrentRevision();
  if (!newest.ok()) return newest.status();
  Give(End{*std::move(end), *newest});
  return absl::OkStatus();
}

}  // namespace jetd::cli
