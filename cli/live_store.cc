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
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
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

std::vector<std::string> SplitUrls(const std::string& text) {
  std::vector<std::string> urls;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) urls.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return urls;
}

absl::StatusOr<std::unique_ptr<LiveStore>> LiveStore::Connect(const Options& options) {
  absl::Status why = absl::InvalidArgumentError("no endpoint is given");
  for (const std::string& endpoint : options.endpoints) {
    auto client = etcdclient::Client::Connect({.endpoint = endpoint,
                                               .ca_file = options.ca_file,
                                               .cert_file = options.cert_file,
                                               .key_file = options.key_file});
    if (!client.ok()) return client.status();
    std::unique_ptr<LiveStore> store(new LiveStore(endpoint, *std::move(client)));
    const auto revision = store->CurrentRevision();
    if (revision.ok()) return store;
    why = MakeStatus(absl::StatusCode::kUnavailable, endpoint, ": ", MessageOf(revision.status()));
  }
  return why;
}

absl::StatusOr<Revision> LiveStore::CurrentRevision() {
  pb::RangeRequest request;
  // No key has this name, and kine takes it too: a get of one key.
  request.set_key("/");
  request.set_keys_only(true);
  const auto answer = client_->Call(request);
  if (!answer.ok()) return answer.status();
  return Revision(std::max<int64_t>(1, answer->header().revision()));
}

absl::StatusOr<pb::RangeResponse> LiveStore::ReadPage(const pb::RangeRequest& request) {
  const CallOptions call{.timeout = kPatience, .unreachable = CallOptions::Unreachable::kWait};
  for (int attempt = 1;; ++attempt) {
    auto answer = client_->Call(request, call);
    if (answer.ok() || !Passes(answer.status()) || attempt == kAttempts) return answer;
    std::this_thread::sleep_for(kRetryPause);
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
    const auto page = ReadPage(request);
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
  if (everything && state.keys.empty() && state.revision > Revision(1)) {
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
  const auto listed = client_->Call(pb::LeaseLeasesRequest());
  if (absl::IsUnimplemented(listed.status())) {
    std::set<int64_t> ids;
    for (const KvRef& kv : keys) ids.insert(kv->lease().value());
    for (const int64_t id : ids) {
      if (id > 0 && id <= kLongestKineLease) leases.push_back({LeaseId(id), id});
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
    const auto answer = client_->Call(request);
    if (!answer.ok()) {
      return MakeStatus(answer.status().code(), endpoint_, ": lease ", lease.id(), ": ",
                        MessageOf(answer.status()));
    }
    if (answer->grantedttl() > 0) leases.push_back({LeaseId(lease.id()), answer->grantedttl()});
  }
  return leases;
}

}  // namespace jetd::cli
