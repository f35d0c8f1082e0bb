// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_BASE_BOLT_PAGE_H_
#define JETD_BASE_BOLT_PAGE_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/check.h"

// The format of a bbolt file, version 2, which etcd keeps its store in: a file of pages, each a
// B+tree's node or what leads to it. All numbers are in the byte order of the machine that wrote
// them; jetd's machines and etcd's are little-endian.
//
//   page:     id u64, flags u16, count u16, overflow u32 (pages that follow and belong to it)
//   meta:     page header; magic, version, page size, flags (u32 each); root bucket; page of the
//             freelist, pages in the file, transaction (u64 each); FNV-1a 64 of all before it
//   bucket:   page of its root (0: the page follows inline), sequence (u64 each)
//   leaf:     elements: flags u32 (1: the value is a bucket), offset of the key from the element,
//             size of the key, size of the value (u32 each); then keys and values
//   branch:   elements: offset of the key from the element, size of the key (u32 each), page u64;
//             then keys: the first key of each child
//
// Pages 0 and 1 are metas: the one of the higher transaction whose sum is right counts.
namespace jetd::bolt {

inline constexpr size_t kPageSize = 4096;  // what we write; files say theirs
inline constexpr size_t kPageHeaderSize = 16;
inline constexpr size_t kMetaSize = 64;  // its sum, the last 8 bytes, included
inline constexpr size_t kElementSize = 16;
inline constexpr size_t kBucketHeaderSize = 16;
inline constexpr uint32_t kMagic = 0xED0CDAED;
inline constexpr uint32_t kVersion = 2;
inline constexpr uint32_t kBucketElement = 1;
inline constexpr size_t kMaxCount = 0xFFFE;  // of elements in a page

enum PageFlags : uint16_t {
  kBranchPage = 0x01,
  kLeafPage = 0x02,
  kMetaPage = 0x04,
  kFreelistPage = 0x10,
};

template <typename Number>
void Append(Number number, std::string* out) {
  out->append(reinterpret_cast<const char*>(&number), sizeof(number));
}

// REQUIRES: the number lies within `bytes`.
template <typename Number>
[[nodiscard]] Number Read(std::string_view bytes, size_t offset) {
  JETD_CHECK(offset <= bytes.size() && sizeof(Number) <= bytes.size() - offset) << "past the end";
  Number number;
  std::memcpy(&number, bytes.data() + offset, sizeof(number));
  return number;
}

inline void AppendPageHeader(uint64_t id, PageFlags flags, size_t count, size_t pages,
                             std::string* out) {
  Append<uint64_t>(id, out);
  Append<uint16_t>(flags, out);
  Append<uint16_t>(static_cast<uint16_t>(count), out);
  Append<uint32_t>(static_cast<uint32_t>(pages - 1), out);
}

// FNV-1a, 64 bits: the sum of a meta.
[[nodiscard]] inline uint64_t MetaSum(std::string_view bytes) {
  uint64_t sum = 0xcbf29ce484222325;
  for (const char byte : bytes) {
    sum ^= static_cast<unsigned char>(byte);
    sum *= 0x100000001b3;
  }
  return sum;
}

}  // namespace jetd::bolt

#endif  // JETD_BASE_BOLT_PAGE_H_
