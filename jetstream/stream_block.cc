// SPDX-License-Identifier: Apache-2.0
#include "jetstream/stream_block.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/strings.h"
#include "jetstream/long_subject.h"
#include "jetstream/nats_reader.h"

namespace jetd::jetstream {
namespace {

constexpr uint32_t kHeadersBit = uint32_t{1} << 31U;
constexpr uint64_t kErasedBit = uint64_t{1} << 63U;
constexpr uint64_t kTombstoneBit = uint64_t{1} << 62U;
// Size, sequence, time, size of the subject; and the checksum at the end.
constexpr size_t kFrontBytes = 4 + 8 + 8 + 2;
constexpr size_t kChecksumBytes = 8;

constexpr std::string_view kHeadersBegin = "NATS/1.0\r\n";
constexpr std::string_view kLineEnd = "\r\n";

// The number in the first sizeof(Int) bytes.
template <typename Int>
Int NumberAt(std::string_view bytes, size_t offset) {
  Int number = 0;
  for (size_t i = sizeof(Int); i-- > 0;) {
    number = static_cast<Int>(number << 8U | static_cast<unsigned char>(bytes[offset + i]));
  }
  return number;
}

HighwayHash::Key KeyOf(std::string_view stream_name, uint64_t number) {
  const std::string name = Cat(stream_name, "-", number);
  HighwayHash::Key key;
  JETD_CHECK(EVP_Digest(name.data(), name.size(), key.data(), nullptr, EVP_sha256(), nullptr) == 1)
      << "OpenSSL has no SHA-256";
  return key;
}

// One header block, nothing behind it.
bool IsHeaderBlock(std::string_view headers) {
  const size_t end = headers.find("\r\n\r\n");
  return headers.substr(0, kHeadersBegin.size()) == kHeadersBegin &&
         end != std::string_view::npos && end + 4 == headers.size();
}

bool IsPlain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
}

// The values of the lines that matter here.
struct Lines {
  std::string_view header, operation, subject;

  // The first one of a name counts.
  void Note(std::string_view name, std::string_view value) {
    for (const auto& [wanted, place] : {std::pair(std::string_view("Jetd"), &header),
                                        std::pair(std::string_view("KV-Operation"), &operation),
                                        std::pair(std::string_view(kSubjectHeader), &subject)}) {
      if (name == wanted && place->data() == nullptr) *place = value;
    }
  }
};

// "Name: value" and nothing that one reader may take otherwise than another.
bool ParseLines(std::string_view headers, Lines* lines) {
  headers.remove_prefix(kHeadersBegin.size());
  while (headers != kLineEnd) {
    const size_t end = headers.find(kLineEnd);
    if (end == std::string_view::npos) return false;
    const std::string_view line = headers.substr(0, end);
    headers.remove_prefix(end + kLineEnd.size());
    const size_t colon = line.find(':');
    if (!IsPlain(line) || colon == std::string_view::npos || colon == 0) return false;
    const std::string_view name = line.substr(0, colon);
    std::string_view value = line.substr(colon + 1);
    if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
    if (name.find(' ') != std::string_view::npos) return false;
    if (!value.empty() && (value.front() == ' ' || value.back() == ' ')) return false;
    lines->Note(name, value);
  }
  return true;
}

}  // namespace

StreamBlock::StreamBlock(std::string_view stream_name, uint64_t number, std::string_view bytes)
    : bytes_(bytes), hash_(KeyOf(stream_name, number)) {}

StreamBlock::Step StreamBlock::Next(BlockRecord* record) {
  const std::string_view rest = bytes_.substr(offset_);
  if (rest.empty()) return Step::kEnd;
  if (rest.size() < kFrontBytes + kChecksumBytes) return Step::kBad;
  const auto size_word = NumberAt<uint32_t>(rest, 0);
  const bool has_headers = (size_word & kHeadersBit) != 0;
  const size_t size = size_word & ~kHeadersBit;
  const size_t subject_size = NumberAt<uint16_t>(rest, 20);
  const size_t least =
      kFrontBytes + subject_size + (has_headers ? sizeof(uint32_t) : 0) + kChecksumBytes;
  if (size < least || size > rest.size()) return Step::kBad;
  std::string_view body = rest.substr(kFrontBytes, size - kFrontBytes - kChecksumBytes);
  record->subject = body.substr(0, subject_size);
  body.remove_prefix(subject_size);
  size_t headers_size = 0;
  if (has_headers) {
    headers_size = NumberAt<uint32_t>(body, 0);
    body.remove_prefix(sizeof(uint32_t));
  }
  if (headers_size > body.size()) return Step::kBad;
  record->checksum = NumberAt<uint64_t>(rest, size - kChecksumBytes);
  hash_.Append(rest.substr(4, 16));
  hash_.Append(record->subject);
  hash_.Append(body);
  if (hash_.Finish() != record->checksum) return Step::kBad;
  record->headers = body.substr(0, headers_size);
  record->payload = body.substr(headers_size);
  if (has_headers && !IsHeaderBlock(record->headers)) return Step::kBad;
  const auto seq = NumberAt<uint64_t>(rest, 4);
  record->kind = (seq & kTombstoneBit) != 0            ? BlockRecord::Kind::kTombstone
                 : (seq & kErasedBit) != 0 || seq == 0 ? BlockRecord::Kind::kErased
                                                       : BlockRecord::Kind::kMessage;
  record->seq = StreamSeq(seq & ~(kErasedBit | kTombstoneBit));
  record->time_ns = static_cast<int64_t>(NumberAt<uint64_t>(rest, 12));
  record->size = size;
  offset_ += size;
  return Step::kRecord;
}

bool ToRecord(std::string_view prefix, const BlockRecord& message, Record* record) {
  Lines lines;
  if (!message.headers.empty() && !ParseLines(message.headers, &lines)) return false;
  record->seq = message.seq;
  record->time_ns = message.time_ns;
  record->subject = TrueSubjectOf(prefix, message.subject, lines.subject);
  record->header = lines.header;
  record->is_delete = IsDeleteOperation(lines.operation);
  record->payload = message.payload;
  record->payload_size = message.payload.size();
  return true;
}

}  // namespace jetd::jetstream
