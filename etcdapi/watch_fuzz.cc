// SPDX-License-Identifier: Apache-2.0
// The input is a watch stream's life: a letter, then what it wants.
//   W   a request as it comes from the wire: a byte that says how long it is, and its bytes
//   p   puts and d deletes the key of one byte; C compacts that many revisions back
//   w   the transport takes so many responses; s lets time pass; L another leader, S none
// Whatever the client asks: each watch is created before it speaks and silent after it ended, its
// events ascend, and those of a revision are not told twice.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/etcdpb/rpc.pb.h"
#include "base/fuzz_input.h"
#include "base/strings.h"
#include "etcdapi/request_decoder.h"
#include "watch/watch_harness.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::WatchRequest;
using watch::Response;

constexpr size_t kMaxSteps = 64;

// What a client may rely on.
class Judge {
 public:
  void See(const Response& response) {
    const int64_t id = response.watch_id.value();
    if (response.created) {
      JETD_CHECK(!response.canceled || id == -1 || !watches_.contains(id)) << Text(response);
      if (!response.canceled) {
        JETD_CHECK(watches_.emplace(id, revision::ModRevision{}).second) << Text(response);
      }
      return;
    }
    if (id == -1) return;  // progress of all
    const auto watch = watches_.find(id);
    // One that was canceled as compacted is canceled again when the client asks for it, as in etcd.
    if (watch == watches_.end() && response.canceled && compacted_.erase(id) > 0) return;
    JETD_CHECK(watch != watches_.end()) << "nobody's: " << Text(response);
    for (const revision::Change& event : response.events) {
      JETD_CHECK(watch->second < event.kv->mod()) << "again, or out of order: " << Text(response);
      watch->second = event.kv->mod();
    }
    if (!response.canceled) return;
    watches_.erase(watch);
    if (response.compact_revision != Revision{}) compacted_.insert(id);
  }

 private:
  std::map<int64_t, revision::ModRevision> watches_;  // the newest event of each
  std::set<int64_t> compacted_;
};

void TryRequest(std::string_view bytes, watch::Client* client) {
  WatchRequest request;
  if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  switch (request.request_union_case()) {
    case WatchRequest::kCreateRequest:
      // Refused before the hub sees it.
      if (request.create_request().start_revision() < 0) return;
      client->stream->Create(ToCreate(request.create_request()));
      break;
    case WatchRequest::kCancelRequest:
      client->stream->Cancel(WatchId(request.cancel_request().watch_id()));
      break;
    case WatchRequest::kProgressRequest:
      client->stream->RequestProgress();
      break;
    case WatchRequest::REQUEST_UNION_NOT_SET:
      break;
  }
}

void Try(FuzzInput input) {
  watch::WatchHub::Options options;
  options.stream_buffer_bytes = 400;
  options.batch_bytes = 200;
  options.catch_up_batch_bytes = 300;
  options.catch_up_revisions = 3;
  options.fragment_bytes = 150;
  watch::Harness harness(options);
  watch::Client client(&harness);
  Judge judge;
  for (size_t n = 0; n < kMaxSteps && !input.empty(); ++n) {
    const uint8_t step = input.Byte();
    if (step == 'W') {
      TryRequest(input.Chunk(), &client);
    } else if (step == 'p') {
      harness.Put(std::string(input.Take(1)), Cat("value ", n));
    } else if (step == 'd') {
      harness.Delete(std::string(input.Take(1)));
    } else if (step == 'C') {
      const Revision at(harness.store.committed().value() - input.Byte());
      if (at > std::max(Revision(0), harness.store.compacted())) harness.Compact(at);
    } else if (step == 'w') {
      client.Write(input.Byte());
    } else if (step == 's') {
      harness.executor.Advance(std::chrono::seconds(input.Byte()));
    } else if (step == 'L') {
      harness.hub->OnLeading(Term(2 + n));
    } else if (step == 'S') {
      harness.hub->OnStepDown(absl::UnavailableError("another leads"));
    }
    for (const Response& response : client.Take()) judge.See(response);
  }
  harness.hub->OnLeading(Term(1'000));
  client.Drain();
  for (const Response& response : client.Take()) judge.See(response);
}

}  // namespace
}  // namespace jetd::etcdapi

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::etcdapi::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
