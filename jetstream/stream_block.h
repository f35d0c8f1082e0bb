// SPDX-License-Identifier: Apache-2.0
//
// What lies in a block file of nats-server's file store, as 2.10 to 2.15 write it; found by looking
// at files and confirmed by every checksum in them. Little endian, one record after the other:
//
//   u32 size of the whole; its highest bit: there are headers
//   u64 sequence; its highest bit: erased, the next: a tombstone (that sequence is deleted)
//   i64 time, ns since 1970
//   u16 size of the subject
//   subject
//   u32 size of the headers, and those ("NATS/1.0\r\n…\r\n\r\n"); only with the bit above
//   payload
//   u64 HighwayHash of sequence, time, subject, headers and payload; its key is the SHA-256 of
//       "<stream>-<number of the block>"
//
// The checksum covers neither of the sizes but the whole one's effect, so the headers' is checked
// by how they begin and end. A block that is compressed or encrypted has no first record that fits.
#ifndef JETD_JETSTREAM_STREAM_BLOCK_H_
#define JETD_JETSTREAM_STREAM_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/types.h"
#include "jetstream/highway_hash.h"
#include "jetstream/log.h"

namespace jetd::jetstream {

// One record of a block. Views are into the block's bytes.
struct BlockRecord {
  enum class Kind { kMessage, kErased, kTombstone };
  Kind kind = Kind::kMessage;
  StreamSeq seq;
  int64_t time_ns = 0;
  std::string_view subject;
  std::string_view headers;  // whole; empty: none
  std::string_view payload;
  uint64_t size = 0;  // in the file, which is what nats-server counts for a message
  uint64_t checksum = 0;
};

// Goes through the bytes of one block file, and takes nothing that its checksum does not confirm.
// One thread.
class StreamBlock {
 public:
  enum class Step { kRecord, kEnd, kBad };

  // `bytes` outlive it.
  StreamBlock(std::string_view stream_name, uint64_t number, std::string_view bytes);

  // kBad, from then on: what lies at offset() is no record.
  Step Next(BlockRecord* record);
  [[nodiscard]] size_t offset() const { return offset_; }

 private:
  const std::string_view bytes_;
  HighwayHash hash_;
  size_t offset_ = 0;
};

// What Log::Read would hand out of a message; `prefix` is the bucket's, "$KV.b.". False: its
// headers are spelled in a way that NATS clients and this may understand differently.
[[nodiscard]] bool ToRecord(std::string_view prefix, const BlockRecord& message, Record* record);

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_STREAM_BLOCK_H_
