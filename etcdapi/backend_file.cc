// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/backend_file.h"

#include <utility>
#include <vector>

#include "base/etcdpb/lease.pb.h"
#include "base/etcdpb/rpc.pb.h"

namespace jetd::etcdapi {
namespace {

using revision::KvRef;
using revision::ModRevision;
using revision::Snapshot;

void AppendBigEndian(uint64_t number, std::string* out) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(number >> shift));
}

std::string BigEndian(uint64_t number) {
  std::string bytes;
  AppendBigEndian(number, &bytes);
  return bytes;
}

void AppendRevision(const ModRevision& mod, std::string* out) {
  AppendBigEndian(static_cast<uint64_t>(mod.main.value()), out);
  out->push_back('_');
  AppendBigEndian(mod.sub, out);
}
constexpr size_t kRevisionSize = 17;

class VersionItems final : public bolt::Items {
 public:
  explicit VersionItems(const Snapshot* snapshot) : snapshot_(snapshot) {}
  [[nodiscard]] size_t size() const override { return snapshot_->versions().size(); }
  [[nodiscard]] size_t KeySize(size_t i) const override {
    return kRevisionSize + (At(i)->tombstone() ? 1 : 0);
  }
  [[nodiscard]] size_t ValueSize(size_t i) const override {
    return At(i)->tombstone() ? At(i)->encoded_key().size() : At(i)->encoded_size();
  }
  void AppendKey(size_t i, std::string* out) const override {
    AppendRevision(At(i)->mod(), out);
    if (At(i)->tombstone()) out->push_back('t');
  }
  [[nodiscard]] absl::Status AppendValue(size_t i, std::string* out) const override {
    if (At(i)->tombstone()) {
      out->append(At(i)->encoded_key());
      return absl::OkStatus();
    }
    const auto kv = snapshot_->Load(At(i));
    if (!kv.ok()) return kv.status();
    out->append((*kv)->encoded());
    return absl::OkStatus();
  }

 private:
  [[nodiscard]] const KvRef& At(size_t i) const { return snapshot_->versions()[i]; }
  const Snapshot* const snapshot_;
};

using bolt::FewItems;

FewItems::List Leases(const Snapshot& snapshot) {
  FewItems::List items;
  for (const auto& lease : snapshot.leases()) {
    leasepb::Lease message;
    message.set_id(lease.id.value());
    message.set_ttl(lease.ttl_s);
    items.emplace_back(BigEndian(static_cast<uint64_t>(lease.id.value())),
                       message.SerializeAsString());
  }
  return items;
}

FewItems::List Meta(const Snapshot& snapshot, const BackendFile::Position& position) {
  FewItems::List items = {{"consistent_index", BigEndian(position.index)},
                          {"term", BigEndian(position.term)}};
  if (snapshot.compacted() >= Revision(0)) {
    std::string compacted;
    AppendRevision({snapshot.compacted(), 0}, &compacted);
    items.emplace_back("finishedCompactRev", compacted);
    items.emplace_back("scheduledCompactRev", compacted);
  }
  return items;
}

FewItems::List Alarms(const std::vector<jetstream::Alarm>& alarms) {
  FewItems::List items;
  for (const jetstream::Alarm& alarm : alarms) {
    etcdserverpb::AlarmMember message;
    message.set_memberid(alarm.member_id);
    message.set_alarm(static_cast<etcdserverpb::AlarmType>(alarm.type));
    items.emplace_back(message.SerializeAsString(), "");
  }
  return items;
}

}  // namespace

BackendFile::BackendFile(std::unique_ptr<const Snapshot> snapshot, const Position& position,
                         const std::vector<jetstream::Alarm>& alarms)
    : snapshot_(std::move(snapshot)) {
  std::vector<bolt::Writer::Bucket> buckets;
  for (const char* name : {"auth", "authRoles", "authUsers", "members", "members_removed"}) {
    buckets.push_back({name, std::make_unique<FewItems>(FewItems::List())});
  }
  buckets.push_back({"alarm", std::make_unique<FewItems>(Alarms(alarms))});
  buckets.push_back(
      {"cluster", std::make_unique<FewItems>(FewItems::List{{"clusterVersion", "3.5.0"}})});
  buckets.push_back({"key", std::make_unique<VersionItems>(snapshot_.get())});
  buckets.push_back({"lease", std::make_unique<FewItems>(Leases(*snapshot_))});
  buckets.push_back({"meta", std::make_unique<FewItems>(Meta(*snapshot_, position))});
  writer_ = std::make_unique<bolt::Writer>(std::move(buckets));
}

}  // namespace jetd::etcdapi
