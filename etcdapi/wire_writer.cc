// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/wire_writer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace jetd::etcdapi {
namespace {

// Chunks after the inline one: large enough that a long list costs few of them.
constexpr size_t kChunkBytes = 32UL * 1024;
constexpr size_t kMaxVarintBytes = 10;

constexpr rpc::Slice::Counting kCounting{
    .ref = [](void* block) { static_cast<const revision::KvBlock*>(block)->Ref(); },
    .unref = [](void* block) { static_cast<const revision::KvBlock*>(block)->Unref(); }};

rpc::Slice SliceOf(const revision::KvRef& kv) {
  const std::string_view bytes = kv->encoded();
  revision::KvRef kept = kv;
  return {bytes, const_cast<revision::KvBlock*>(kept.release()), &kCounting};
}

}  // namespace

void WireWriter::RawVarint(uint64_t value) {
  std::array<uint8_t, kMaxVarintBytes> bytes;
  size_t n = 0;
  while (value >= 0x80) {
    bytes[n++] = static_cast<uint8_t>(value) | 0x80U;
    value >>= 7U;
  }
  bytes[n++] = static_cast<uint8_t>(value);
  Reserve(n);
  position_ -= n;
  std::memcpy(chunk_begin_ + position_, bytes.data(), n);
}

void WireWriter::Raw(std::string_view bytes) {
  if (bytes.empty()) return;
  Reserve(bytes.size());
  position_ -= bytes.size();
  std::memcpy(chunk_begin_ + position_, bytes.data(), bytes.size());
}

void WireWriter::Element(int field, std::string_view value) {
  const size_t end = size();
  Raw(value);
  Length(field, end);
}

void WireWriter::KeyValue(int field, const revision::KvRef& kv) {
  const size_t end = size();
  if (kv->encoded().size() < kSpliceBytes) {
    Raw(kv->encoded());
  } else {
    Flush();
    flushed_ += kv->encoded().size();
    pieces_.push_back(SliceOf(kv));
  }
  Length(field, end);
}

void WireWriter::KeyOnly(int field, const revision::KvBlock& kv) {
  const size_t end = size();
  Raw(kv.encoded_after_value());
  Raw(kv.encoded_before_value());
  Length(field, end);
}

void WireWriter::Flush() {
  const size_t used = Used();
  if (used == 0) return;
  if (chunk_begin_ == inline_.data()) {
    pieces_.push_back(rpc::Slice::Copy({chunk_begin_ + position_, used}));
    position_ = capacity_;
  } else {
    pieces_.push_back(chunk_.Sub(position_, capacity_));
    // What lies below stays usable: the slice above holds the same memory.
    capacity_ = position_;
  }
  flushed_ += used;
}

void WireWriter::Grow(size_t n) {
  Flush();
  const size_t bytes = std::max(n, kChunkBytes);
  chunk_ = rpc::Slice::Allocate(bytes, &chunk_begin_);
  capacity_ = bytes;
  position_ = bytes;
}

rpc::Message WireWriter::Take() {
  Flush();
  std::reverse(pieces_.begin(), pieces_.end());
  return rpc::Message(std::move(pieces_));
}

}  // namespace jetd::etcdapi
