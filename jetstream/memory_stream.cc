// SPDX-License-Identifier: Apache-2.0
#include "jetstream/memory_stream.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/strings.h"

namespace jetd::jetstream {

bool SubjectMatches(std::string_view pattern, std::string_view subject) {
  while (true) {
    const size_t pattern_end = std::min(pattern.find('.'), pattern.size());
    const size_t subject_end = std::min(subject.find('.'), subject.size());
    const std::string_view token = pattern.substr(0, pattern_end);
    if (token == ">" && pattern_end == pattern.size()) return !subject.empty();
    if (token != "*" && token != subject.substr(0, subject_end)) return false;
    const bool pattern_ends = pattern_end == pattern.size();
    const bool subject_ends = subject_end == subject.size();
    if (pattern_ends || subject_ends) return pattern_ends && subject_ends;
    pattern.remove_prefix(pattern_end + 1);
    subject.remove_prefix(subject_end + 1);
  }
}

Record MemoryStream::Stored::View(bool headers_only) const {
  Record record;
  record.seq = seq;
  record.time_ns = time_ns;
  record.subject = subject;
  record.header = header;
  record.is_delete = is_delete;
  if (!headers_only) record.payload = payload;
  record.payload_size = payload.size();
  return record;
}

MemoryStream::Stored MemoryStream::Own(StreamSeq predicted, const NewRecord& record) {
  Stored stored;
  stored.seq = predicted;
  stored.subject = std::string(record.subject);
  stored.header = std::string(record.header);
  stored.is_delete = record.is_delete;
  stored.payload = std::string(record.payload);
  return stored;
}

MemoryStream::MemoryStream(Options options)
    : options_(std::move(options)),
      prefix_(Cat("$KV.", options_.bucket, ".")),
      last_time_ns_(options_.created_ns) {}

absl::Status MemoryStream::Append(Stored record, int64_t now_ns, const void* writer) {
  if (record.seq != last_.Next()) {
    return MakeError(Errc::kUnavailable, Cat("wrong last sequence: ", last_.value()));
  }
  if (records_.size() >= max_messages_) {
    return MakeError(Errc::kNoSpace, "maximum messages exceeded");
  }
  if (max_bytes_ - std::min(bytes_, max_bytes_) < record.bytes()) {
    return MakeError(Errc::kNoSpace, "maximum bytes exceeded");
  }
  Land(std::move(record), now_ns, writer);
  return absl::OkStatus();
}

StreamSeq MemoryStream::AppendForeign(const NewRecord& record) {
  Land(Own(last_.Next(), record), last_time_ns_, nullptr);
  return last_;
}

bool MemoryStream::LandLate(size_t count) {
  bool landed = false;
  for (; count > 0 && !late_.empty(); --count) {
    Stored record = std::move(late_.front());
    late_.pop_front();
    landed |= Append(std::move(record), last_time_ns_, &late_).ok();
  }
  return landed;
}

MemoryStream::StoredPtr MemoryStream::Find(StreamSeq seq) const {
  const auto it = records_.find(seq);
  return it == records_.end() ? nullptr : it->second;
}

MemoryStream::StoredPtr MemoryStream::FirstFrom(StreamSeq from) const {
  const auto it = records_.lower_bound(from);
  return it == records_.end() ? nullptr : it->second;
}

void MemoryStream::Delete(StreamSeq seq) {
  auto node = records_.extract(seq);
  if (node.empty()) return;
  bytes_ -= node.mapped()->bytes();
  if (options_.remember_deleted) deleted_.emplace(seq, node.mapped());
  unsynced_deletes_.insert(std::move(node));
}

StreamState MemoryStream::State() const {
  StreamState state;
  state.first = records_.empty() ? last_.Next() : records_.begin()->first;
  state.last = last_;
  state.messages = records_.size();
  state.bytes = bytes_;
  return state;
}

void MemoryStream::SyncRecords(StreamSeq seq) { synced_ = std::max(synced_, std::min(seq, last_)); }

void MemoryStream::SyncDeletes() { unsynced_deletes_.clear(); }

void MemoryStream::PowerCut(const std::function<bool(StreamSeq)>& stays) {
  for (auto& [seq, record] : unsynced_deletes_) {
    bytes_ += record->bytes();
    records_.emplace(seq, std::move(record));
  }
  unsynced_deletes_.clear();
  last_ = synced_;
  for (auto it = records_.upper_bound(synced_); it != records_.end();) {
    if (stays && stays(it->first)) {
      last_ = (it++)->first;
    } else {
      bytes_ -= it->second->bytes();
      it = records_.erase(it);
    }
  }
  late_.clear();
}

void MemoryStream::ReviveDeleted(const std::function<bool(const Stored&)>& which) {
  JETD_CHECK(options_.remember_deleted);
  for (const auto& [seq, record] : deleted_) {
    if (seq > last_ || !which(*record)) continue;
    if (records_.emplace(seq, record).second) bytes_ += record->bytes();
    unsynced_deletes_.erase(seq);
  }
}

void MemoryStream::LoseTail(StreamSeq last) {
  for (auto it = records_.upper_bound(last); it != records_.end(); it = records_.erase(it)) {
    bytes_ -= it->second->bytes();
  }
  unsynced_deletes_.erase(unsynced_deletes_.upper_bound(last), unsynced_deletes_.end());
  deleted_.erase(deleted_.upper_bound(last), deleted_.end());
  last_ = std::min(last_, last);
  synced_ = std::min(synced_, last);
}

void MemoryStream::Recreate(int64_t created_ns) {
  options_.created_ns = created_ns;
  records_.clear();
  unsynced_deletes_.clear();
  deleted_.clear();
  late_.clear();
  last_ = StreamSeq(0);
  synced_ = StreamSeq(0);
  bytes_ = 0;
}

int MemoryStream::AddListener(Listener listener) {
  listeners_.emplace(next_listener_, std::move(listener));
  return next_listener_++;
}

void MemoryStream::Land(Stored record, int64_t now_ns, const void* writer) {
  last_ = last_.Next();
  last_time_ns_ = std::max(last_time_ns_ + 1, now_ns);
  record.seq = last_;
  record.time_ns = last_time_ns_;
  bytes_ += record.bytes();
  const auto stored = std::make_shared<const Stored>(std::move(record));
  records_.emplace(last_, stored);
  for (const auto& [id, listener] : listeners_) listener(*stored, writer);
}

}  // namespace jetd::jetstream
