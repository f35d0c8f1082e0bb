// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REVISION_KV_H_
#define JETD_REVISION_KV_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/types.h"

namespace jetd::revision {

// Where a change stands in etcd's order: the transaction, and its number within it from 0.
struct ModRevision {
  Revision main;
  uint32_t sub = 0;
  friend auto operator<=>(const ModRevision&, const ModRevision&) = default;
};

class KvRef;

// Where the encoding of a version lies whose value is not in memory: in the files that ValueFiles
// keeps. 16 bytes.
struct ValueLocation {
  uint32_t segment = 0;  // number of the file
  uint32_t offset = 0;   // of the encoding in it
  uint32_t size = 0;     // of the whole encoding
  uint32_t crc = 0;      // CRC-32C of it
  friend bool operator==(const ValueLocation&, const ValueLocation&) = default;
};

// KvBlock is one version of one key, held once: its numbers, and its bytes already encoded as
// mvccpb.KeyValue (fields in order of their numbers, zero ones left out), to be spliced into
// answers and events as they are. A tombstone's encoding has only the key and mod_revision, as etcd
// sends it in a delete event.
//
// A block is hot or cold. A cold one has no value: its bytes are the encoding without the value
// field, and where the whole of it lies. Cold blocks belong to the store; what it hands out is hot,
// except where it says otherwise.
//
// Its fields never change once made, but for a cold one's location, which is the engine thread's.
// Ref-counted by KvRef; the count is atomic, so that any thread may drop its references.
// The bytes follow the object in the same allocation: 48 bytes and the encoding (cold: without the
// value, and 16 bytes), nothing else; numbers that are rarely asked for are read from the encoding.
// Keys are shorter than 16 MiB, an encoding than 4 GiB.
class KvBlock {
 public:
  struct Fields {
    std::string_view key = {};
    std::string_view value = {};
    ModRevision mod = {};
    Revision create_revision = {};
    int64_t version = 0;
    LeaseId lease = {};
    StreamSeq seq = {};  // where its record lies
    bool tombstone = false;
  };
  [[nodiscard]] static KvRef Make(const Fields& fields);
  // The same version without its value. REQUIRES: `hot` is hot and has a value.
  [[nodiscard]] static KvRef MakeCold(const KvBlock& hot, const ValueLocation& location);
  // The same version with room for its encoding, encoded_size() bytes, which the caller writes to
  // *encoding before anybody looks. REQUIRES: cold.cold().
  [[nodiscard]] static KvRef MakeHot(const KvBlock& cold, char** encoding);

  // The block as bytes, hot or cold, for files of this machine; and back. FromBytes takes them off
  // the front of *bytes; null if they are none.
  void AppendTo(std::string* out) const;
  [[nodiscard]] static KvRef FromBytes(std::string_view* bytes);

  [[nodiscard]] std::string_view key() const {
    return {bytes() + key_field_size() - key_size_, key_size_};
  }
  // REQUIRES: !cold().
  [[nodiscard]] std::string_view value() const;
  [[nodiscard]] ModRevision mod() const { return {mod_main_, mod_sub_}; }
  [[nodiscard]] Revision mod_revision() const { return mod_main_; }
  [[nodiscard]] Revision create_revision() const { return Revision(Number(kCreateTag)); }
  [[nodiscard]] int64_t version() const { return Number(kVersionTag); }
  [[nodiscard]] LeaseId lease() const;
  [[nodiscard]] StreamSeq seq() const { return seq_; }
  [[nodiscard]] bool tombstone() const { return tombstone_ != 0; }

  [[nodiscard]] bool cold() const { return cold_ != 0; }
  // REQUIRES: cold().
  [[nodiscard]] ValueLocation location() const;
  void set_location(const ValueLocation& location) const;

  // The whole mvccpb.KeyValue. REQUIRES: !cold().
  [[nodiscard]] std::string_view encoded() const {
    JETD_CHECK(cold_ == 0) << "the value of a cold version";
    return {bytes(), size_};
  }
  // Its size, of a cold version too.
  [[nodiscard]] size_t encoded_size() const { return cold_ == 0 ? size_ : location().size; }
  // The key field alone, which is the whole of what etcd stores for a tombstone.
  [[nodiscard]] std::string_view encoded_key() const { return {bytes(), key_field_size()}; }
  // The same without the value field, which protobuf puts before the lease: two pieces.
  [[nodiscard]] std::string_view encoded_before_value() const { return {bytes(), value_field()}; }
  [[nodiscard]] std::string_view encoded_after_value() const;
  // Memory that this block holds, for budgets; and what it would if it were hot.
  [[nodiscard]] size_t footprint() const { return sizeof(KvBlock) + size_; }
  [[nodiscard]] size_t hot_footprint() const { return sizeof(KvBlock) + encoded_size(); }

  void Ref() const { refs_.fetch_add(1, std::memory_order_relaxed); }
  void Unref() const {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) Destroy();
  }

 private:
  friend class KeyIndex;

  static constexpr unsigned char kKeyTag = 0x0a;
  static constexpr unsigned char kCreateTag = 0x10;
  static constexpr unsigned char kModTag = 0x18;
  static constexpr unsigned char kVersionTag = 0x20;
  static constexpr unsigned char kValueTag = 0x2a;
  static constexpr unsigned char kLeaseTag = 0x30;

  KvBlock() = default;
  ~KvBlock() = default;
  void Destroy() const;
  [[nodiscard]] const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }
  [[nodiscard]] bool WellFormed() const;
  // Tag, length and key; nothing for an empty key.
  [[nodiscard]] size_t key_field_size() const {
    if (key_size_ < 0x80) return key_size_ == 0 ? 0 : key_size_ + 2U;
    return key_size_ + (key_size_ < 0x4000 ? 3U : (key_size_ < 0x200000 ? 4U : 5U));
  }
  // Offset of the value field's tag, or of what follows if the value is empty.
  [[nodiscard]] size_t value_field() const { return key_field_size() + numbers_size_; }
  // Of what is kept of the encoding.
  [[nodiscard]] size_t kept_size() const {
    return cold_ == 0 ? size_ : size_ - sizeof(ValueLocation);
  }
  // Value field and all before it.
  [[nodiscard]] size_t value_end() const;
  // A block of the same version and `size` bytes that are not written yet.
  [[nodiscard]] static KvBlock* MakeLike(const KvBlock& other, size_t size);
  // The number under `tag` between key and value; 0 if it was left out.
  [[nodiscard]] int64_t Number(unsigned char tag) const;

  mutable std::atomic<uint32_t> refs_{1};
  uint32_t size_ = 0;              // of the bytes that follow
  uint32_t key_size_ : 24 = 0;     //
  uint32_t numbers_size_ : 6 = 0;  // create_revision, mod_revision and version, encoded: <= 33
  uint32_t tombstone_ : 1 = 0;
  uint32_t cold_ : 1 = 0;
  uint32_t mod_sub_ = 0;
  Revision mod_main_;
  StreamSeq seq_;
  // The key's neighbouring versions. They belong to the KeyIndex that holds the block (it has a
  // count of it) and are touched on its thread only; null in a block that is in no index.
  mutable const KvBlock* older_ = nullptr;
  mutable const KvBlock* newer_ = nullptr;
};

// A counted reference; null by default.
class KvRef {
 public:
  KvRef() = default;
  // Takes over one count.
  explicit KvRef(const KvBlock* adopted) : block_(adopted) {}
  // A further reference to a block that somebody holds; null for null.
  [[nodiscard]] static KvRef Share(const KvBlock* block) {
    if (block != nullptr) block->Ref();
    return KvRef(block);
  }
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
  // Gives the count away, to an rpc::Slice for example, which ends with Unref.
  [[nodiscard]] const KvBlock* release() { return std::exchange(block_, nullptr); }

 private:
  const KvBlock* block_ = nullptr;
};

// One change of a committed transaction, as watchers see it. Either may be cold where the Store
// says so.
struct Change {
  KvRef kv;    // the new version, or the tombstone
  KvRef prev;  // what was there before; null if nothing
};

}  // namespace jetd::revision

#endif  // JETD_REVISION_KV_H_
