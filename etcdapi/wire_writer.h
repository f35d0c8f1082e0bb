// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_WIRE_WRITER_H_
#define JETD_ETCDAPI_WIRE_WRITER_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "revision/kv.h"
#include "rpc/message.h"

namespace jetd::etcdapi {

// WireWriter writes one protobuf message from its end to its beginning, so that the length of a
// nested message is known when its length prefix is due: no pass to measure, no patching. Callers
// write fields in descending order of number and repeated fields from last to first.
//
//   RangeResponse{header{revision: 7}, count: 1}   field 4, then field 1:
//     w.Varint(4, 1);                               20 01
//     size_t end = w.size();
//     w.Varint(3, 7);                               18 07 | 20 01
//     w.Length(1, end);                             0a 02 18 07 | 20 01
//
// Fields that hold protobuf's default are left out, as proto3 does. A message under kInlineBytes
// costs one allocation of its exact size. Values from kSpliceBytes on are not copied: the answer
// refers to the store's own block and drops its reference when the transport has sent it.
//
// Thread rules: one thread. Take may be called once.
class WireWriter {
 public:
  WireWriter() = default;
  WireWriter(const WireWriter&) = delete;
  WireWriter& operator=(const WireWriter&) = delete;

  // Bytes written so far, to be given to Length later.
  [[nodiscard]] size_t size() const { return flushed_ + Used(); }

  void Varint(int field, uint64_t value) {
    if (value == 0) return;
    RawVarint(value);
    RawVarint(static_cast<uint64_t>(field) << 3U);
  }
  void Int(int field, int64_t value) { Varint(field, static_cast<uint64_t>(value)); }
  void Bytes(int field, std::string_view value) {
    if (value.empty()) return;
    Element(field, value);
  }
  // The same for a repeated field, whose elements may be empty.
  void Element(int field, std::string_view value);
  // Makes what was written since size() was `end` the contents of message field `field`.
  void Length(int field, size_t end) {
    RawVarint(size() - end);
    RawVarint((static_cast<uint64_t>(field) << 3U) | 2U);
  }
  // A whole mvccpb.KeyValue as message field `field`.
  void KeyValue(int field, const revision::KvRef& kv);
  // The same without its value.
  void KeyOnly(int field, const revision::KvBlock& kv);

  [[nodiscard]] rpc::Message Take();

  static constexpr size_t kInlineBytes = 2560;  // so that a value that is copied fits
  static constexpr size_t kSpliceBytes = 2048;

 private:
  void RawVarint(uint64_t value);
  void Raw(std::string_view bytes);
  // Room for `n` more bytes below position_.
  void Reserve(size_t n) {
    if (position_ < n) Grow(n);
  }
  void Grow(size_t n);
  // Moves what the current chunk holds to pieces_.
  void Flush();
  [[nodiscard]] size_t Used() const { return capacity_ - position_; }

  std::array<char, kInlineBytes> inline_;
  rpc::Slice chunk_;  // in use when chunk_begin_ is not inline_
  char* chunk_begin_ = inline_.data();
  size_t capacity_ = kInlineBytes;
  size_t position_ = kInlineBytes;  // the first byte written, in the chunk
  size_t flushed_ = 0;
  rpc::Message::Pieces pieces_;  // from the end of the message to its beginning
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_WIRE_WRITER_H_
