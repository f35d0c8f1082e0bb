// SPDX-License-Identifier: Apache-2.0
// The input is a checkpoint. A first line "=" is followed by frames, each a byte that says how long
// it is and its bytes, which get their sizes and right check sums and, at the end, how many
// versions the second line says; without it the input is the file. Either it is refused, or the
// store that it gives can be read and written to a checkpoint again, which says the same.
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/fuzz_input.h"
#include "revision/checkpoint.h"
#include "revision/crc32c.h"
#include "revision/store.h"
#include "revision/value_harness.h"

namespace jetd::revision {
namespace {

void AddFrame(std::string_view bytes, uint32_t* crc, std::string* file) {
  *crc = ExtendCrc32c(*crc, bytes);
  const uint32_t head[2] = {static_cast<uint32_t>(bytes.size()), *crc};
  file->append(reinterpret_cast<const char*>(head), sizeof(head));
  file->append(bytes);
}

std::string FileOf(FuzzInput input) {
  if (!input.rest().starts_with("=\n")) return std::string(input.rest());
  (void)input.Line();
  const std::string_view number = input.Line();
  uint64_t count = 0;
  std::from_chars(number.data(), number.data() + number.size(), count);
  std::string file = "JETDCP02";
  uint32_t crc = 0;
  while (!input.empty()) {
    // Long ones: the head of a checkpoint alone has more than a byte can say.
    const size_t high = input.Byte();
    AddFrame(input.Take(high * 256 + input.Byte()), &crc, &file);
  }
  AddFrame({reinterpret_cast<const char*>(&count), sizeof(count)}, &crc, &file);
  return file;
}

void Try(const FuzzInput& input) {
  static const FuzzFile file;
  const std::string path = file.Write(FileOf(input));
  const auto checkpoint = Checkpoint::Open(path);
  if (!checkpoint.ok()) return;
  Store store;
  if (!(*checkpoint)->Load(&store).ok()) return;
  const auto hash = store.HashKv(Revision());
  (void)store.Range({.keys = {{}, std::string_view("\0", 1)}}, Store::View::kCommitted);
  const std::string again = file.folder() + "/again";
  JETD_CHECK(WriteCheckpoint(again, (*checkpoint)->head(), store).ok()) << again;
  const auto second = Checkpoint::Open(again);
  JETD_CHECK(second.ok()) << second.status();
  Store other;
  JETD_CHECK((*second)->Load(&other).ok()) << "what was written is not read";
  const auto other_hash = other.HashKv(Revision());
  JETD_CHECK(hash.ok() == other_hash.ok() && (!hash.ok() || hash->hash == other_hash->hash))
      << "HashKV";
}

}  // namespace
}  // namespace jetd::revision

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::revision::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
