// SPDX-License-Identifier: Apache-2.0
#include "etcdclient/testing/fake_kine.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <vector>

#include "base/check.h"
#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/mutex.h"
#include "base/strings.h"

namespace jetd::etcdclient {
namespace {

namespace pb = etcdserverpb;

constexpr std::chrono::milliseconds kLookForEnd{20};
// How far back a watch that was opened anew repeats.
constexpr int64_t kRepeated = 3;

grpc::Status Unsupported(const std::string& what) {
  return grpc::Status(grpc::StatusCode::UNKNOWN, what + " is not supported");
}

bool Comes(int every, int64_t number) { return every > 0 && number % every == 0; }

}  // namespace

class FakeKine::Impl final {
 public:
  explicit Impl(Faults faults) : faults_(faults), kv_(this), watch_(this), lease_(this) {
    grpc::ServerBuilder builder;
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(-1);
    builder.RegisterService(&kv_);
    builder.RegisterService(&watch_);
    builder.RegisterService(&lease_);
    server_ = builder.BuildAndStart();
    JETD_CHECK(server_ != nullptr) << "the fake kine does not start";
    endpoint_ = Cat("http://127.0.0.1:", port);
  }
  ~Impl() { server_->Shutdown(std::chrono::system_clock::now()); }

  [[nodiscard]] const std::string& endpoint() const { return endpoint_; }

  int64_t Change(const std::string& key, const std::string& value, int64_t lease, bool deleted) {
    MutexLock lock(mutex_);
    ++revision_;
    if (!key.empty()) {
      std::vector<Version>& versions = keys_[key];
      const bool there = !versions.empty() && !versions.back().deleted;
      versions.push_back({.mod = revision_,
                          .create = there ? versions.back().create : revision_,
                          .lease = lease,
                          .deleted = deleted,
                          .value = value});
      events_.push_back({key, versions.back()});
    }
    changed_.NotifyAll();
    return revision_;
  }
  void Compact(int64_t revision) {
    MutexLock lock(mutex_);
    compacted_ = std::max(compacted_, revision);
  }
  void HideOnce() {
    MutexLock lock(mutex_);
    faults_.hides_a_key_once = true;
  }
  [[nodiscard]] int watches() const {
    MutexLock lock(mutex_);
    return watches_;
  }

 private:
  struct Version {
    int64_t mod = 0, create = 0, lease = 0;
    bool deleted = false;
    std::string value{};
  };
  struct Event {
    std::string key;
    Version version;
  };

  static void Fill(const std::string& key, const Version& version, mvccpb::KeyValue* kv) {
    kv->set_key(key);
    kv->set_value(version.value);
    kv->set_mod_revision(version.mod);
    kv->set_create_revision(version.create);
    kv->set_lease(version.lease);
  }

  // The version that a reader at `revision` sees; null: none.
  [[nodiscard]] const Version* SeenAt(const std::vector<Version>& versions, int64_t revision) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const size_t kept = std::min(versions.size(), static_cast<size_t>(faults_.history));
    for (size_t i = versions.size(); i > versions.size() - kept; --i) {
      const Version& version = versions[i - 1];
      if (version.mod <= revision) return version.deleted ? nullptr : &version;
    }
    return nullptr;
  }

  grpc::Status List(const pb::RangeRequest& request, pb::RangeResponse* response)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    std::string prefix = request.range_end();
    --prefix.back();
    if (!prefix.ends_with('/')) prefix += '/';
    std::string start = request.key();
    while (!start.empty() && start.back() == '\0') start.pop_back();
    const int64_t at = request.revision() > 0 ? request.revision() : revision_;
    if (at < compacted_) {
      return grpc::Status(grpc::StatusCode::OUT_OF_RANGE,
                          "etcdserver: mvcc: required revision has been compacted");
    }
    for (const auto& [key, versions] : keys_) {
      if (!key.starts_with(prefix) || (start != prefix && key <= start)) continue;
      const Version* const version = SeenAt(versions, at);
      if (version == nullptr) continue;
      if (at == revision_ && !request.count_only() && faults_.hides_a_key_once) {
        faults_.hides_a_key_once = false;
        continue;
      }
      response->set_count(response->count() + 1);
      if (request.count_only()) continue;
      if (request.limit() > 0 && response->kvs_size() == request.limit()) {
        response->set_more(true);
        continue;
      }
      Fill(key, *version, response->add_kvs());
    }
    return grpc::Status::OK;
  }

  class KvService final : public pb::KV::Service {
   public:
    explicit KvService(Impl* kine) : kine_(kine) {}
    grpc::Status Range(grpc::ServerContext* /*context*/, const pb::RangeRequest* request,
                       pb::RangeResponse* response) override {
      if (request->keys_only()) return Unsupported("keysOnly");
      MutexLock lock(kine_->mutex_);
      response->mutable_header()->set_revision(kine_->revision_);
      if (!request->range_end().empty()) return kine_->List(*request, response);
      const auto found = kine_->keys_.find(request->key());
      if (found == kine_->keys_.end()) return grpc::Status::OK;
      const Version* const version = kine_->SeenAt(found->second, kine_->revision_);
      if (version != nullptr) Fill(found->first, *version, response->add_kvs());
      response->set_count(response->kvs_size());
      return grpc::Status::OK;
    }

   private:
    Impl* const kine_;
  };

  class LeaseService final : public pb::Lease::Service {
   public:
    explicit LeaseService(Impl* /*kine*/) {}
    grpc::Status LeaseTimeToLive(grpc::ServerContext* /*context*/,
                                 const pb::LeaseTimeToLiveRequest* /*request*/,
                                 pb::LeaseTimeToLiveResponse* /*response*/) override {
      return Unsupported("lease time to live");
    }
    grpc::Status LeaseLeases(grpc::ServerContext* /*context*/,
                             const pb::LeaseLeasesRequest* /*request*/,
                             pb::LeaseLeasesResponse* /*response*/) override {
      return Unsupported("lease leases");
    }
  };

  using WatchCall = grpc::ServerReaderWriter<pb::WatchResponse, pb::WatchRequest>;
  class WatchService final : public pb::Watch::Service {
   public:
    explicit WatchService(Impl* kine) : kine_(kine) {}
    grpc::Status Watch(grpc::ServerContext* context, WatchCall* call) override {
      return kine_->Serve(context, call);
    }

   private:
    Impl* const kine_;
  };

  // Events from `from` (an index) on that a watch of `prefix` is told now.
  void Tell(const std::string& prefix, size_t from, std::vector<Event>* batch) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (size_t i = from; i < events_.size(); ++i) {
      const Event& event = events_[i];
      const auto number = static_cast<int64_t>(i) + 1;
      if (!event.key.starts_with(prefix) || Comes(faults_.lose_every, number)) continue;
      batch->push_back(event);
      if (Comes(faults_.sibling_every, number)) {
        batch->push_back({"elsewhere" + event.key, event.version});
      }
      if (Comes(faults_.repeat_every, number) && i >= 2) batch->push_back(events_[i - 2]);
    }
  }

  grpc::Status Serve(grpc::ServerContext* context, WatchCall* call) {
    pb::WatchRequest request;
    if (!call->Read(&request)) return grpc::Status::OK;
    const pb::WatchCreateRequest& create = request.create_request();
    pb::WatchResponse created;
    created.set_created(true);
    created.set_watch_id(1);
    call->Write(created);
    size_t next = 0;
    int64_t told = 0;
    bool ahead = false;
    {
      MutexLock lock(mutex_);
      const bool again = ++watches_ > 1;
      if (create.start_revision() <= compacted_) {
        pb::WatchResponse gone;
        gone.set_watch_id(1);
        gone.set_canceled(true);
        gone.set_compact_revision(compacted_);
        call->Write(gone);
        return grpc::Status::OK;
      }
      const int64_t from =
          create.start_revision() - (again && faults_.break_every > 0 ? kRepeated : 0);
      while (next < events_.size() && events_[next].version.mod < from) ++next;
      ahead = faults_.progress_ahead;
    }
    while (!context->IsCancelled()) {
      std::vector<Event> batch;
      int64_t revision = 0;
      {
        MutexLock lock(mutex_);
        if (next == events_.size()) {
          (void)changed_.WaitUntil(mutex_, std::chrono::steady_clock::now() + kLookForEnd);
        }
        Tell(create.key(), next, &batch);
        next = events_.size();
        revision = revision_;
      }
      if (ahead) {
        pb::WatchResponse progress;
        progress.mutable_header()->set_revision(revision);
        progress.set_watch_id(1);
        call->Write(progress);
      }
      if (batch.empty()) continue;
      pb::WatchResponse response;
      response.set_watch_id(1);
      response.mutable_header()->set_revision(revision);
      for (const Event& event : batch) {
        mvccpb::Event* const out = response.add_events();
        out->set_type(event.version.deleted ? mvccpb::Event::DELETE : mvccpb::Event::PUT);
        Fill(event.key, event.version, out->mutable_kv());
      }
      if (!call->Write(response)) break;
      told += response.events_size();
      MutexLock lock(mutex_);
      if (faults_.break_every > 0 && told >= faults_.break_every) {
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the watch is broken");
      }
    }
    return grpc::Status::OK;
  }

  mutable Mutex mutex_;
  CondVar changed_;
  Faults faults_ ABSL_GUARDED_BY(mutex_);
  int64_t revision_ ABSL_GUARDED_BY(mutex_) = 1;
  int64_t compacted_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, std::vector<Version>> keys_ ABSL_GUARDED_BY(mutex_);
  std::vector<Event> events_ ABSL_GUARDED_BY(mutex_);
  int watches_ ABSL_GUARDED_BY(mutex_) = 0;

  KvService kv_;
  WatchService watch_;
  LeaseService lease_;
  std::string endpoint_;
  std::unique_ptr<grpc::Server> server_;  // last: its threads use what stands above
};

FakeKine::FakeKine(Faults faults) : impl_(std::make_unique<Impl>(faults)) {}
FakeKine::~FakeKine() = default;

const std::string& FakeKine::endpoint() const { return impl_->endpoint(); }
int64_t FakeKine::Put(const std::string& key, const std::string& value, int64_t lease) {
  return impl_->Change(key, value, lease, /*deleted=*/false);
}
int64_t FakeKine::Delete(const std::string& key) {
  return impl_->Change(key, "", 0, /*deleted=*/true);
}
int64_t FakeKine::Skip() { return impl_->Change("", "", 0, /*deleted=*/false); }
void FakeKine::Compact(int64_t revision) { impl_->Compact(revision); }
void FakeKine::set_hides_a_key_once() { impl_->HideOnce(); }
int FakeKine::watches() const { return impl_->watches(); }

}  // namespace jetd::etcdclient
