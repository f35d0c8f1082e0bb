// SPDX-License-Identifier: Apache-2.0
#include "conformance/power/lease_writer.h"

#include <chrono>
#include <utility>

#include "base/strings.h"
#include "conformance/server_faults.h"

namespace jetd::conformance::power {
namespace {

namespace pb = etcdclient::pb;

// Longer than any run.
constexpr int64_t kTtlSeconds = 100'000;
constexpr etcdclient::CallOptions kOptions{.timeout = std::chrono::milliseconds(60'000)};

}  // namespace

LeaseWriter::LeaseWriter(Options options, etcdclient::Client* client)
    : options_(std::move(options)),
      client_(client),
      random_(options_.seed),
      next_id_(options_.first_id),
      thread_([this] { Run(); }) {}

LeaseWriter::~LeaseWriter() { Stop(); }

void LeaseWriter::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

std::string LeaseWriter::KeysOf(const std::string& prefix, int64_t id) {
  return Cat(prefix, id, "/");
}

void LeaseWriter::Run() {
  for (const auto& [id, keys] : options_.left) {
    if (stop_ || !Revoke(id, keys)) return;
  }
  while (!stop_) {
    const int64_t id = next_id_++;
    if (!Grant(id)) return;
    std::vector<std::string> keys;
    for (int i = static_cast<int>(random_() % 4); i >= 0; --i) {
      if (stop_) return;
      if (!Put(id, i)) return;
      keys.push_back(ops_.back().keys[0].key);
    }
    if (random_() % 4 != 0 && !Revoke(id, keys)) return;
  }
}

bool LeaseWriter::Grant(int64_t id) {
  pb::LeaseGrantRequest request;
  request.set_id(id);
  request.set_ttl(kTtlSeconds);
  const absl::Status status = client_->Call(request, kOptions).status();
  fates_[id] = status.ok() ? Fate::kThere : IsRefusal(status) ? Fate::kGone : Fate::kUnknown;
  return status.ok();
}

bool LeaseWriter::Put(int64_t id, int key) {
  WriteOp op{.keys = {{.key = Cat(KeysOf(options_.prefix, id), key)}}};
  op.keys[0].value = Cat(op.keys[0].key, " of the lease");
  pb::PutRequest request;
  request.set_key(op.keys[0].key);
  request.set_value(op.keys[0].value);
  request.set_lease(id);
  const auto answer = client_->Call(request, kOptions);
  return Note(std::move(op), answer.status(), answer.ok() ? answer->header().revision() : 0);
}

bool LeaseWriter::Revoke(int64_t id, const std::vector<std::string>& keys) {
  WriteOp op;
  for (const std::string& key : keys) op.keys.push_back({.key = key, .is_delete = true});
  pb::LeaseRevokeRequest request;
  request.set_id(id);
  const auto answer = client_->Call(request, kOptions);
  if (answer.ok()) {
    fates_[id] = Fate::kGone;
  } else {
    fates_[id] = IsRefusal(answer.status()) ? Fate::kThere : Fate::kUnknown;
  }
  return Note(std::move(op), answer.status(), answer.ok() ? answer->header().revision() : 0);
}

bool LeaseWriter::Note(WriteOp op, const absl::Status& status, int64_t revision) {
  op.writer = options_.number;
  op.number = options_.first_number + static_cast<int>(ops_.size());
  op.outcome = status.ok()         ? Outcome::kAcked
               : IsRefusal(status) ? Outcome::kRefused
                                   : Outcome::kUnknown;
  op.revision = revision;
  if (!status.ok()) op.error = std::string(MessageOf(status));
  ops_.push_back(std::move(op));
  return status.ok();
}

}  // namespace jetd::conformance::power
