// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_KV_H_
#define JETD_REVISION_KV_H_

#include <atomic>
#include <cstdint>
#include <string_view>
#include <utility>

#include "base/types.h"

namespace jetd::revision {

// Where a change stands in etcd's order: the transaction, and its number within it from 0.
struct ModRevision {
  Revision main;
  uint32_t sub = 0;
  friend auto operator<=>(const ModRevision&, const ModRevision&) = default;
};

class KvRef;

// KvBlock is one version of one key, held once: its numbers, and its bytes already encoded as
// mvccpb.KeyValue, to be spliced into answers and events as they are. A tombstone's encoding has
// only the key and mod_revision, as etcd sends it in a delete event.
//
// Immutable once made. Ref-counted by KvRef; the count is atomic because gRPC drops its references
// on its own threads. The bytes follow the object in the same allocation.
class KvBlock {
 public:
  struct Fields {
    std::string_view key;
    std::string_view value;
    ModRevision mod;
    Revision create_revision;
    int64_t version = 0;
    LeaseId lease;
    StreamSeq seq;  // where its record lies
    bool tombstone = false;
  };
  [[nodiscard]] static KvRef Make(const Fields& fields);

  [[nodiscard]] std::string_view key() const { return {bytes() + key_offset_, key_size_}; }
  [[nodiscard]] std::string_view value() const { return {bytes() + value_offset_, value_size_}; }
  [[nodiscard]] ModRevision mod() const { return mod_; }
  [[nodiscard]] Revision mod_revision() const { return mod_.main; }
  [[nodiscard]] Revision create_revision() const { return create_; }
  [[nodiscard]] int64_t version() const { return version_; }
  [[nodiscard]] LeaseId lease() const { return lease_; }
  [[nodiscard]] StreamSeq seq() const { return seq_; }
  [[nodiscard]] bool tombstone() const { return tombstone_; }

  // The whole mvccpb.KeyValue.
  [[nodiscard]] std::string_view encoded() const { return {bytes(), size_}; }
  // The same without the value field, which protobuf puts before the lease: two pieces.
  [[nodiscard]] std::string_view encoded_before_value() const { return {bytes(), value_field_}; }
  [[nodiscard]] std::string_view encoded_after_value() const {
    return {bytes() + value_field_end_, size_ - value_field_end_};
  }
  // Memory that this block holds, for budgets.
  [[nodiscard]] size_t footprint() const { return sizeof(KvBlock) + size_; }

  void Ref() const { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() const;

 private:
  KvBlock() = default;
  ~KvBlock() = default;
  [[nodiscard]] const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }

  mutable std::atomic<uint32_t> refs_{1};
  uint32_t size_ = 0;
  uint32_t key_offset_ = 0;
  uint32_t key_size_ = 0;
  uint32_t value_field_ = 0;      // offset of the value field's tag
  uint32_t value_field_end_ = 0;  // and of what follows it
  uint32_t value_offset_ = 0;
  uint32_t value_size_ = 0;
  ModRevision mod_;
  bool tombstone_ = false;
  Revision create_;
  int64_t version_ = 0;
  LeaseId lease_;
  StreamSeq seq_;
};

// A counted reference; null by default.
class KvRef {
 public:
  KvRef() = default;
  // Takes over one count.
  explicit KvRef(const KvBlock* adopted) : block_(adopted) {}
  KvRef(const KvRef& other) : block_(other.block_) {
    if (block_ != nullptr) block_->Ref();
  }
  KvRef(KvRef&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  KvRef& operator=(KvRef other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~KvRef() {
    if (block_ != nullptr) block_->Unref();
  }

  [[nodiscard]] const KvBlock* get() const { return block_; }
  const KvBlock* operator->() const { return block_; }
  const KvBlock& operator*() const { return *block_; }
  explicit operator bool() const { return block_ != nullptr; }
  // Gives the count away, to a gRPC slice for example, which ends with Unref.
  [[nodiscard]] const KvBlock* release() { return std::exchange(block_, nullptr); }

 private:
  const KvBlock* block_ = nullptr;
};

// One change of a committed transaction, as watchers see it.
struct Change {
  KvRef kv;    // the new version, or the tombstone
  KvRef prev;  // what was there before; null if nothing
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_KV_H_
