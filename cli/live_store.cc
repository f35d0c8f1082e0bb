// SPDX-License-Identifier: Apache-2.0
#include "cli/live_store.h"

#include <algorithm>
#include <set>
#include <thread>
#include <utility>

#include "base/strings.h"

namespace jetd::cli {
namespace {

using etcdclient::CallOptions;
using replication::BucketState;
using replication::KeySelection;
using revision::KvBlock;
using revision::KvRef;
using revision::Store;
namespace pb = etcdclient::pb;

constexpr std::chrono::seconds kPatience{60};
constexpr std::chrono::milliseconds kRetryPause{500};
constexpr int kAttempts = 10;
// Pages get smaller where values are large.
constexpr int64_t kMostPerPage = 2'000;
constexpr int64_t kLeastPerPage = 8;
constexpr size_t kPageBytes = 4UL << 20;
// A lease id of kine's is no longer than this, in seconds.
constexpr int64_t kLongestKineLease = 365 * 24 * 3600;

bool Passes(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) ||
         absl::IsUnauthenticated(status);
}

// kine says so in words only.
bool IsUnsupported(const absl::Status& status) {
  return absl::IsUnimplemented(status) ||
         MessageOf(status).find("not supported") != std::string_view::npos;
}

int64_t KineTtl(LeaseId lease) {
  return lease.value() > 0 && lease.value() <= kLongestKineLease ? lease.value() : 0;
}

}  // namespace

KvRef KvOf(const mvccpb::KeyValue& kv, uint32_t sub) {
  return KvBlock::Make({.key = kv.key(),
                        .value = kv.value(),
                        .mod = {Revision(kv.mod_revision()), sub},
                        .create_revision = Revision(kv.create_revision()),
                        .version = kv.version(),
                        .lease = LeaseId(kv.lease())});
}

LiveStore::LiveStore(const Options& options) : options_(options) {
  const std::string zero(1, '\0');
  everything_ = options.prefix.empty()
                    ? KeySelection::Range{zero, zero}
                    : KeySelection::Range{options.prefix, replication::EndOfPrefix(options.prefix)};
}

absl::StatusOr<std::unique_ptr<LiveStore>> LiveStore::Connect(const Options& options) {
  absl::Status why = absl::InvalidArgumentError("no endpoint is given");
  std::unique_ptr<LiveStore> store(new LiveStore(options));
  for (size_t i = 0; i < options.endpoints.size(); ++i) {
    why = store->Dial();
    if (absl::IsInvalidArgument(why) || absl::IsNotFound(why)) return why;
    if (why.ok()) why = store->CurrentRevision().status();
    if (why.ok()) return store;
    why = MakeStatus(absl::StatusCode::kUnavailable, store->endpoint(), ": ", MessageOf(why));
    ++store->next_;
  }
  return why;
}

absl::Status LiveStore::Dial() {
  endpoint_ = options_.endpoints[next_ % options_.endpoints.size()];
  etcdclient::Client::Options dial{.endpoint = endpoint_,
                                   .ca_file = options_.ca_file,
                                   .cert_file = options_.cert_file,
                                   .key_file = options_.key_file};
  auto client = etcdclient::Client::Connect(dial);
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  if (options_.user.empty()) return absl::OkStatus();
  pb::AuthenticateRequest request;
  request.set_name(options_.user);
  request.set_password(options_.password);
  const auto answer = client_->Call(request);
  if (!answer.ok()) {
    return MakeStatus(absl::StatusCode::kUnavailable, "user ", options_.user, ": ",
                      MessageOf(answer.status()));
  }
  dial.token = answer->token();
  client = etcdclient::Client::Connect(dial);
  if (!client.ok()) return client.status();
  client_ = *std::move(client);
  return absl::OkStatus();
}

absl::Status LiveStore::Reconnect() {
  ++next_;
  return Dial();
}

absl::Status LiveStore::CheckStore(uint64_t cluster_id) const {
  if (cluster_id == cluster_id_ || cluster_id == 0 || cluster_id_ == 0) return absl::OkStatus();
  return MakeStatus(absl::StatusCode::kFailedPrecondition, endpoint_,
                    " serves another store than the one that answered before (cluster id ",
                    cluster_id, ", not ", cluster_id_, ")");
}

absl::StatusOr<Revision> LiveStore::CurrentRevision() {
  pb::RangeRequest request;
  // A get of one key is what kine takes too; no key has this name.
  request.set_key(options_.prefix.empty() ? "/" : options_.prefix);
  const auto answer = client_->Call(request);
  if (!answer.ok()) return answer.status();
  if (absl::Status same = CheckStore(answer->header().cluster_id()); !same.ok()) return same;
  cluster_id_ = answer->header().cluster_id();
  return Revision(std::max<int64_t>(1, answer->header().revision()));
}

uint64_t LiveStore::CountKeys() {
  pb::RangeRequest request;
  request.set_key(everything_.begin);
  request.set_range_end(everything_.end);
  request.set_count_only(true);
  const auto answer = client_->Call(request);
  return answer.ok() ? static_cast<uint64_t>(answer->count()) : 0;
}

absl::StatusOr<KvRef> LiveStore::Get(const std::string& key) {
  pb::RangeRequest request;
  request.set_key(key);
  const auto answer = client_->Call(request);
  if (!answer.ok()) return answer.status();
  return answer->kvs_size() == 0 ? KvRef() : KvOf(answer->kvs(0), 0);
}

absl::StatusOr<int64_t> LiveStore::LeaseTtl(LeaseId lease) {
  pb::LeaseTimeToLiveRequest request;
  request.set_id(lease.value());
  const auto answer = client_->Call(request);
  if (answer.ok()) return std::max<int64_t>(0, answer->grantedttl());
  if (IsUnsupported(answer.status())) return KineTtl(lease);
  if (absl::IsNotFound(answer.status())) return 0;
  return answer.status();
}

template <typename Request>
absl::StatusOr<etcdclient::ResponseOf<Request>> LiveStore::Ask(const Request& request) {
  const CallOptions call{.timeout = kPatience,
                         .unreachable = options_.endpoints.size() > 1
                                            ? CallOptions::Unreachable::kFail
                                            : CallOptions::Unreachable::kWait};
  for (int attempt = 1;;) {
    auto answer = client_->Call(request, call);
    if (answer.ok()) {
      absl::Status same = CheckStore(answer->header().cluster_id());
      if (!same.ok()) return same;
      return answer;
    }
    if (!Passes(answer.status())) return answer;
    absl::Status connected = answer.status();
    for (; !connected.ok(); ++attempt) {
      if (attempt >= kAttempts) return answer;
      std::this_thread::sleep_for(kRetryPause);
      connected = Reconnect();
    }
  }
}

absl::Status LiveStore::ReadRange(const ReadOptions& options, const KeySelection::Range& range,
                                  BucketState* state, uint64_t* bytes) {
  pb::RangeRequest request;
  request.set_key(range.begin);
  request.set_range_end(range.end);
  request.set_revision(state->revision.value());
  request.set_limit(kMostPerPage);
  for (bool more = true; more;) {
    if (options.interrupted != nullptr && options.interrupted->load()) {
      return absl::CancelledError("interrupted");
    }
    const auto page = Ask(request);
    if (!page.ok()) return page.status();
    size_t page_bytes = 0;
    for (const mvccpb::KeyValue& kv : page->kvs()) {
      if (kv.key().empty()) return absl::DataLossError("it gave a key without a name");
      state->keys.push_back(KvOf(kv, 0));
      page_bytes += kv.key().size() + kv.value().size();
    }
    *bytes += page_bytes;
    state->newest = std::max(state->newest, Revision(page->header().revision()));
    if (options.progress) options.progress(state->keys.size(), *bytes);
    more = page->more() && page->kvs_size() > 0;
    if (!more) break;
    request.set_key(page->kvs(page->kvs_size() - 1).key() + std::string(1, '\0'));
    if (page_bytes > kPageBytes) {
      request.set_limit(std::max(kLeastPerPage, request.limit() / 2));
    } else if (page_bytes < kPageBytes / 4) {
      request.set_limit(std::min(kMostPerPage, request.limit() * 2));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<BucketState> LiveStore::ReadKeys(const ReadOptions& options) {
  BucketState state;
  state.revision = options.at;
  if (state.revision == Revision{}) {
    const auto newest = CurrentRevision();
    if (!newest.ok()) return newest.status();
    state.revision = *newest;
  }
  uint64_t bytes = 0;
  for (const KeySelection::Range& range : options.ranges) {
    if (absl::Status read = ReadRange(options, range, &state, &bytes); !read.ok()) {
      return MakeStatus(read.code(), endpoint_, ": ", MessageOf(read));
    }
  }
  const bool everything = options.ranges.size() == 1 && options.ranges.front() == everything_;
  if (everything && options_.prefix.empty() && state.keys.empty() && state.revision > Revision(1)) {
    const KeySelection::Range slashes{"/", replication::EndOfPrefix("/")};
    if (absl::Status read = ReadRange(options, slashes, &state, &bytes); !read.ok()) {
      return MakeStatus(read.code(), endpoint_, ": ", MessageOf(read));
    }
    if (!state.keys.empty()) everything_ = slashes;
  }
  return state;
}

absl::StatusOr<std::vector<Store::LeaseInfo>> LiveStore::ReadLeases(
    const std::vector<KvRef>& keys) {
  std::vector<Store::LeaseInfo> leases;
  const auto listed = Ask(pb::LeaseLeasesRequest());
  if (IsUnsupported(listed.status())) {
    std::set<LeaseId> ids;
    for (const KvRef& kv : keys) ids.insert(kv->lease());
    for (const LeaseId id : ids) {
      if (KineTtl(id) > 0) leases.push_back({id, KineTtl(id)});
    }
    return leases;
  }
  if (!listed.ok()) {
    return MakeStatus(listed.status().code(), endpoint_,
                      ": its leases: ", MessageOf(listed.status()));
  }
  for (const pb::LeaseStatus& lease : listed->leases()) {
    pb::LeaseTimeToLiveRequest request;
    request.set_id(lease.id());
    const auto answer = Ask(request);
    if (!answer.ok() && !absl::IsNotFound(answer.status())) {
      return MakeStatus(answer.status().code(), endpoint_, ": lease ", lease.id(), ": ",
                        MessageOf(answer.status()));
    }
    if (answer.ok() && answer->grantedttl() > 0) {
      leases.push_back({LeaseId(lease.id()), answer->grantedttl()});
    }
  }
  return leases;
}

}  // namespace jetd::cli
