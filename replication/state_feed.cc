// SPDX-License-Identifier: Apache-2.0
#include "replication/state_feed.h"

#include <utility>

#include "base/strings.h"
#include "jetstream/record.h"

namespace jetd::replication {

using revision::KvBlock;
using revision::KvRef;
using revision::PlannedRecord;
using revision::Store;

namespace {

// Of a record in nats-server's files: its own fields, the subject's prefix and the header lines.
constexpr uint64_t kRecordOverhead = 192;

}  // namespace

PlannedRecord KeyRecord(const jetstream::SubjectCodec& codec, const KvRef& kv, uint32_t count) {
  jetstream::RecordHeader header;
  header.revision = kv->mod_revision();
  header.index = kv->mod().sub + 1;
  header.count = count;
  header.term = kDataTerm;
  PlannedRecord record;
  record.subject = codec.EncodeKey(kv->key());
  record.is_delete = kv->tombstone();
  if (!kv->tombstone()) {
    header.create_revision = kv->create_revision();
    header.version = kv->version();
    header.lease = kv->lease();
    record.kv = kv;
  }
  record.header = EncodeHeader(header);
  return record;
}

PlannedRecord LeaseRecordOf(const jetstream::SubjectCodec& codec, const Store::LeaseInfo& lease,
                            Revision revision) {
  jetstream::RecordHeader header;
  header.revision = revision;
  header.term = kDataTerm;
  PlannedRecord record;
  record.subject = codec.LeaseSubject(lease.id);
  record.header = EncodeHeader(header);
  // When it was granted its source does not tell; and every leader gives it its whole time again.
  record.payload = jetstream::EncodeLease({.ttl_s = lease.ttl_s, .granted_ms = 0});
  return record;
}

KvRef KeyOf(const jetstream::SubjectCodec& codec, const jetstream::Record& record) {
  const auto subject = codec.Decode(record.subject);
  const auto header = jetstream::DecodeHeader(record.header);
  if (record.is_delete || !subject.ok() || !header.ok() ||
      subject->kind != jetstream::SubjectCodec::Kind::kKey) {
    return {};
  }
  return KvBlock::Make({.key = subject->key,
                        .value = record.payload,
                        .mod = {header->revision, header->index - 1},
                        .create_revision = header->create_revision,
                        .version = header->version,
                        .lease = header->lease,
                        .seq = record.seq});
}

uint64_t StreamBytesOf(const BucketState& state) {
  return state.bytes() + (state.keys.size() + state.leases.size() + 3) * kRecordOverhead;
}

StateFeed::StateFeed(const jetstream::SubjectCodec* codec, const BucketState* state)
    : codec_(codec), state_(state), hash_(HashOf(*state)) {}

absl::StatusOr<BucketFeed::More> StateFeed::Next(StreamSeq /*seq*/, PlannedRecord* record) {
  if (leases_ < state_->leases.size()) {
    *record = LeaseRecordOf(*codec_, state_->leases[leases_++], state_->revision);
    return More::kRecord;
  }
  if (keys_ == state_->keys.size()) return More::kEnd;
  if (keys_ == group_end_) {
    const Revision mod = state_->keys[keys_]->mod_revision();
    while (group_end_ < state_->keys.size() && state_->keys[group_end_]->mod_revision() == mod) {
      ++group_end_;
    }
  }
  const uint32_t count = state_->keys[group_end_ - 1]->mod().sub + 1;
  *record = KeyRecord(*codec_, state_->keys[keys_++], count);
  return More::kRecord;
}

void StateFeed::BeginReadBack() {
  leases_read_ = keys_read_ = 0;
  hash_read_ = HashOf({});
}

void StateFeed::OnReadBack(const jetstream::Record& record) {
  if (const KvRef kv = KeyOf(*codec_, record)) {
    ++keys_read_;
    hash_read_ = ExtendHash(hash_read_, *kv);
    return;
  }
  const auto subject = codec_->Decode(record.subject);
  if (subject.ok() && subject->kind == jetstream::SubjectCodec::Kind::kLease) ++leases_read_;
}

absl::Status StateFeed::EndReadBack() {
  if (keys_read_ == state_->keys.size() && leases_read_ == state_->leases.size() &&
      hash_read_ == hash_) {
    return absl::OkStatus();
  }
  return MakeStatus(absl::StatusCode::kDataLoss, "read back, the bucket holds ", keys_read_,
                    " keys, ", leases_read_, " leases, hash ", hash_read_, ", and not ",
                    state_->keys.size(), ", ", state_->leases.size(), ", ", hash_);
}

}  // namespace jetd::replication
