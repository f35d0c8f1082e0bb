// SPDX-License-Identifier: Apache-2.0
#include "revision/kv.h"

#include <cstring>
#include <new>

#include "base/check.h"

namespace jetd::revision {
namespace {

static_assert(sizeof(KvBlock) == 48, "the memory figures of key_index.h count on it");

size_t VarintSize(uint64_t v) {
  size_t size = 1;
  while (v >= 0x80) {
    v >>= 7;
    ++size;
  }
  return size;
}

char* PutVarint(char* out, uint64_t v) {
  while (v >= 0x80) {
    *out++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *out++ = static_cast<char>(v);
  return out;
}

// Only for bytes that Make wrote.
const char* GetVarint(const char* in, uint64_t* v) {
  uint64_t result = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto byte = static_cast<unsigned char>(*in++);
    result |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  *v = result;
  return in;
}

// For any bytes: false if there is none that ends before `end`.
bool TakeVarint(const char** in, const char* end, uint64_t* v) {
  *v = 0;
  for (unsigned shift = 0; *in < end && shift < 64; shift += 7) {
    const auto byte = static_cast<unsigned char>(*(*in)++);
    *v |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

bool TakeTag(const char** in, const char* end, unsigned char tag) {
  if (*in == end || static_cast<unsigned char>(**in) != tag) return false;
  ++*in;
  return true;
}

size_t NumberSize(int64_t v) { return v == 0 ? 0 : 1 + VarintSize(static_cast<uint64_t>(v)); }

char* PutNumber(char* out, unsigned char tag, int64_t v) {
  if (v == 0) return out;
  *out++ = static_cast<char>(tag);
  return PutVarint(out, static_cast<uint64_t>(v));
}

size_t BytesSize(std::string_view bytes) {
  return bytes.empty() ? 0 : 1 + VarintSize(bytes.size()) + bytes.size();
}

char* PutBytes(char* out, unsigned char tag, std::string_view bytes) {
  if (bytes.empty()) return out;
  *out++ = static_cast<char>(tag);
  out = PutVarint(out, bytes.size());
  std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

}  // namespace

KvRef KvBlock::Make(const Fields& fields) {
  Fields f = fields;
  if (f.tombstone) {
    f.value = {};
    f.create_revision = Revision();
    f.version = 0;
    f.lease = LeaseId();
  }
  const size_t numbers_size = NumberSize(f.create_revision.value()) +
                              NumberSize(f.mod.main.value()) + NumberSize(f.version);
  const size_t size =
      BytesSize(f.key) + numbers_size + BytesSize(f.value) + NumberSize(f.lease.value());
  JETD_CHECK(f.key.size() < (1U << 24) && size <= UINT32_MAX)
      << "a key of " << f.key.size() << " and a version of " << size << " bytes";

  auto* block = new (::operator new(sizeof(KvBlock) + size)) KvBlock;
  block->size_ = static_cast<uint32_t>(size);
  block->key_size_ = static_cast<uint32_t>(f.key.size()) & 0xffffff;
  block->numbers_size_ = numbers_size & 0x3f;
  block->tombstone_ = f.tombstone ? 1 : 0;
  block->mod_main_ = f.mod.main;
  block->mod_sub_ = f.mod.sub;
  block->seq_ = f.seq;

  char* const begin = reinterpret_cast<char*>(block + 1);
  char* out = PutBytes(begin, kKeyTag, f.key);
  out = PutNumber(out, kCreateTag, f.create_revision.value());
  out = PutNumber(out, kModTag, f.mod.main.value());
  out = PutNumber(out, kVersionTag, f.version);
  out = PutBytes(out, kValueTag, f.value);
  out = PutNumber(out, kLeaseTag, f.lease.value());
  JETD_CHECK(out == begin + size) << "encoded " << (out - begin) << " of " << size << " bytes";
  return KvRef(block);
}

KvBlock* KvBlock::MakeLike(const KvBlock& other, size_t size) {
  auto* block = new (::operator new(sizeof(KvBlock) + size)) KvBlock;
  block->size_ = static_cast<uint32_t>(size);
  block->key_size_ = other.key_size_;
  block->numbers_size_ = other.numbers_size_;
  block->tombstone_ = other.tombstone_;
  block->mod_main_ = other.mod_main_;
  block->mod_sub_ = other.mod_sub_;
  block->seq_ = other.seq_;
  return block;
}

KvRef KvBlock::MakeCold(const KvBlock& hot, const ValueLocation& location) {
  const std::string_view before = hot.encoded_before_value();
  const std::string_view after = hot.encoded_after_value();
  JETD_CHECK(location.size == hot.encoded().size() && before.size() + after.size() < location.size)
      << "a location of " << location.size << " bytes for " << hot.encoded().size();
  KvBlock* const cold = MakeLike(hot, before.size() + after.size() + sizeof(location));
  cold->cold_ = 1;
  char* const out = reinterpret_cast<char*>(cold + 1);
  std::memcpy(out, before.data(), before.size());
  if (!after.empty()) std::memcpy(out + before.size(), after.data(), after.size());
  cold->set_location(location);
  return KvRef(cold);
}

KvRef KvBlock::MakeHot(const KvBlock& cold, char** encoding) {
  KvBlock* const hot = MakeLike(cold, cold.location().size);
  *encoding = reinterpret_cast<char*>(hot + 1);
  return KvRef(hot);
}

namespace {

// What stands before a block's bytes in a file.
struct Saved {
  uint32_t size = 0;
  uint32_t key_size = 0;
  uint8_t numbers_size = 0;
  uint8_t tombstone = 0;
  uint8_t cold = 0;
  uint8_t unused = 0;
  uint32_t mod_sub = 0;
  int64_t mod_main = 0;
  uint64_t seq = 0;
};
static_assert(sizeof(Saved) == 32);

}  // namespace

void KvBlock::AppendTo(std::string* out) const {
  const Saved saved{.size = size_,
                    .key_size = key_size_,
                    .numbers_size = static_cast<uint8_t>(numbers_size_),
                    .tombstone = static_cast<uint8_t>(tombstone_),
                    .cold = static_cast<uint8_t>(cold_),
                    .mod_sub = mod_sub_,
                    .mod_main = mod_main_.value(),
                    .seq = seq_.value()};
  out->append(reinterpret_cast<const char*>(&saved), sizeof(saved));
  out->append(bytes(), size_);
}

// As Make and MakeCold write it, so that who reads it need not look at its ends again.
bool KvBlock::WellFormed() const {
  const char* in = bytes();
  const char* const end = bytes() + kept_size();
  uint64_t number = 0;
  if (key_size_ > 0) {
    if (!TakeTag(&in, end, kKeyTag) || !TakeVarint(&in, end, &number) || number != key_size_ ||
        in != bytes() + key_field_size() - key_size_) {
      return false;
    }
    in += key_size_;
  }
  const char* const numbers_end = bytes() + value_field();
  for (const unsigned char tag : {kCreateTag, kModTag, kVersionTag}) {
    number = 0;
    if (TakeTag(&in, numbers_end, tag) && !TakeVarint(&in, numbers_end, &number)) return false;
    if (tag == kModTag && number != static_cast<uint64_t>(mod_main_.value())) return false;
    if (tag != kModTag && tombstone_ != 0 && number != 0) return false;
  }
  if (in != numbers_end) return false;
  if (cold_ == 0 && TakeTag(&in, end, kValueTag)) {
    if (!TakeVarint(&in, end, &number) || number == 0 || number > static_cast<uint64_t>(end - in)) {
      return false;
    }
    in += number;
  }
  if (TakeTag(&in, end, kLeaseTag) && !TakeVarint(&in, end, &number)) return false;
  if (in != end || (tombstone_ != 0 && end != numbers_end)) return false;
  return cold_ == 0 || (tombstone_ == 0 && location().size > kept_size());
}

KvRef KvBlock::FromBytes(std::string_view* bytes) {
  Saved saved;
  if (bytes->size() < sizeof(saved)) return KvRef();
  std::memcpy(&saved, bytes->data(), sizeof(saved));
  if (bytes->size() - sizeof(saved) < saved.size || saved.key_size >= (1U << 24) ||
      saved.numbers_size > 33 || saved.tombstone > 1 || saved.cold > 1) {
    return KvRef();
  }
  auto* block = new (::operator new(sizeof(KvBlock) + saved.size)) KvBlock;
  KvRef result(block);
  block->size_ = saved.size;
  block->key_size_ = saved.key_size & 0xffffff;
  block->numbers_size_ = saved.numbers_size & 0x3f;
  block->tombstone_ = saved.tombstone & 1;
  block->cold_ = saved.cold & 1;
  block->mod_sub_ = saved.mod_sub;
  block->mod_main_ = Revision(saved.mod_main);
  block->seq_ = StreamSeq(saved.seq);
  std::memcpy(reinterpret_cast<char*>(block + 1), bytes->data() + sizeof(saved), saved.size);
  const size_t least = block->value_field() + (saved.cold == 1 ? sizeof(ValueLocation) : 0);
  if (saved.size < least || !block->WellFormed()) return KvRef();
  bytes->remove_prefix(sizeof(saved) + saved.size);
  return result;
}

ValueLocation KvBlock::location() const {
  JETD_CHECK(cold_ != 0) << "the location of a hot version";
  ValueLocation location;
  std::memcpy(&location, bytes() + kept_size(), sizeof(location));
  return location;
}

void KvBlock::set_location(const ValueLocation& location) const {
  JETD_CHECK(cold_ != 0) << "the location of a hot version";
  std::memcpy(const_cast<char*>(bytes()) + kept_size(), &location, sizeof(location));
}

void KvBlock::Destroy() const {
  const size_t size = footprint();
  this->~KvBlock();
  ::operator delete(const_cast<KvBlock*>(this), size);
}

int64_t KvBlock::Number(unsigned char tag) const {
  const char* in = bytes() + key_field_size();
  const char* const end = in + numbers_size_;
  while (in < end) {
    const auto found = static_cast<unsigned char>(*in++);
    uint64_t v = 0;
    in = GetVarint(in, &v);
    if (found == tag) return static_cast<int64_t>(v);
  }
  return 0;
}

std::string_view KvBlock::value() const {
  JETD_CHECK(cold_ == 0) << "the value of a cold version";
  const size_t at = value_field();
  if (at == size_ || static_cast<unsigned char>(bytes()[at]) != kValueTag) return {};
  uint64_t size = 0;
  const char* in = GetVarint(bytes() + at + 1, &size);
  return {in, size};
}

std::string_view KvBlock::encoded_after_value() const {
  const size_t at = value_end();
  return {bytes() + at, kept_size() - at};
}

size_t KvBlock::value_end() const {
  if (cold_ != 0) return value_field();
  const std::string_view v = value();
  return v.empty() ? value_field() : static_cast<size_t>(v.data() + v.size() - bytes());
}

LeaseId KvBlock::lease() const {
  const std::string_view after = encoded_after_value();
  if (after.empty()) return LeaseId();
  uint64_t id = 0;
  GetVarint(after.data() + 1, &id);
  return LeaseId(static_cast<int64_t>(id));
}

}  // namespace jetd::revision
