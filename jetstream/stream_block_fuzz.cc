// SPDX-License-Identifier: Apache-2.0
// The input is a block file of nats-server, behind a byte with its number: it is gone through as it
// is, and once more with every checksum put right, so that what lies behind those is reached too.
#include <openssl/evp.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/fuzz_input.h"
#include "base/strings.h"
#include "jetstream/highway_hash.h"
#include "jetstream/stream_block.h"

namespace jetd::jetstream {
namespace {

constexpr std::string_view kStream = "KV_b";
constexpr size_t kFront = 22;
constexpr size_t kSum = 8;

bool Within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// Returns how many records there are.
size_t GoThrough(uint64_t number, std::string_view bytes) {
  StreamBlock block(kStream, number, bytes);
  BlockRecord found;
  size_t count = 0;
  while (true) {
    const size_t before = block.offset();
    const StreamBlock::Step step = block.Next(&found);
    if (step != StreamBlock::Step::kRecord) {
      JETD_CHECK(block.offset() == before) << "moved on over what is no record";
      JETD_CHECK((step == StreamBlock::Step::kEnd) == (before == bytes.size())) << before;
      return count;
    }
    ++count;
    JETD_CHECK(block.offset() == before + found.size && block.offset() <= bytes.size()) << before;
    for (const std::string_view part : {found.subject, found.headers, found.payload}) {
      JETD_CHECK(Within(part, bytes)) << "beyond the block";
    }
    const size_t parts = found.subject.size() + found.headers.size() + found.payload.size();
    JETD_CHECK(parts + kFront + kSum <= found.size) << parts;
    Record record;
    if (!ToRecord("$KV.b.", found, &record)) continue;
    JETD_CHECK(record.header.find_first_of("\r\n") == std::string_view::npos) << record.header;
    JETD_CHECK(record.payload == found.payload && record.payload_size == found.payload.size());
  }
}

// Puts the right checksum behind everything whose sizes make sense; returns how many that are.
size_t Mend(uint64_t number, std::string* bytes) {
  HighwayHash::Key key;
  const std::string name = Cat(kStream, "-", number);
  JETD_CHECK(EVP_Digest(name.data(), name.size(), key.data(), nullptr, EVP_sha256(), nullptr) == 1);
  HighwayHash hash(key);
  const auto byte = [&](size_t at) { return size_t{static_cast<unsigned char>((*bytes)[at])}; };
  size_t count = 0;
  for (size_t at = 0; at + kFront + kSum <= bytes->size(); ++count) {
    const size_t size = byte(at) | byte(at + 1) << 8U | byte(at + 2) << 16U;
    const size_t subject = byte(at + 20) | byte(at + 21) << 8U;
    const size_t sizes = (byte(at + 3) & 0x80U) != 0 ? 4 : 0;
    if ((byte(at + 3) & 0x7fU) != 0 || size < kFront + subject + sizes + kSum) return count;
    if (at + size > bytes->size()) return count;
    const std::string_view view = std::string_view(*bytes).substr(at, size - kSum);
    hash.Append(view.substr(4, 16));
    hash.Append(view.substr(kFront, subject));
    hash.Append(view.substr(kFront + subject + sizes));
    const uint64_t sum = hash.Finish();
    for (size_t i = 0; i < kSum; ++i) {
      (*bytes)[at + size - kSum + i] = static_cast<char>(sum >> (8 * i));
    }
    at += size;
  }
  return count;
}

void Try(FuzzInput input) {
  const uint64_t number = input.Byte();
  std::string bytes(input.rest());
  (void)GoThrough(number, bytes);
  const size_t mended = Mend(number, &bytes);
  // Headers may still be none.
  JETD_CHECK(GoThrough(number, bytes) <= mended) << "more records than were mended";
}

}  // namespace
}  // namespace jetd::jetstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::jetstream::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
