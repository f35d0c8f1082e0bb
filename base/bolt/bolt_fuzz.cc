// SPDX-License-Identifier: Apache-2.0
// The input is a file of etcd's store: the page of the root bucket, a byte, and pages 2, 3 …, each
// a byte that says how long it is, and its bytes behind the page's id. It gets a meta with a right
// sum. Or it is the file itself, behind a byte of 255.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bolt/page.h"
#include "base/bolt/reader.h"
#include "base/check.h"
#include "base/fuzz_input.h"

namespace jetd::bolt {
namespace {

constexpr size_t kSmallPage = 512;
constexpr uint8_t kAsItIs = 255;

std::string FileOf(FuzzInput input) {
  const uint8_t root = input.Byte();
  if (root == kAsItIs) return std::string(input.rest());
  std::string file(2 * kSmallPage, '\0');
  uint64_t pages = 2;
  for (; !input.empty(); ++pages) {
    Append(pages, &file);
    file.append(input.Chunk());
    file.resize((pages + 1) * kSmallPage);
  }
  std::string meta;
  for (const uint32_t number : {kMagic, kVersion, uint32_t{kSmallPage}, uint32_t{0}}) {
    Append(number, &meta);
  }
  for (const uint64_t number : {uint64_t{root}, uint64_t{0}, uint64_t{2}, pages, uint64_t{1}}) {
    Append(number, &meta);
  }
  Append(MetaSum(meta), &meta);
  return file.replace(kPageHeaderSize, meta.size(), meta);
}

void Try(const FuzzInput& input) {
  const std::string file = FileOf(input);
  const auto reader = Reader::Open(file);
  if (!reader.ok()) return;
  JETD_CHECK(reader->size() <= file.size()) << "more than there is";
  const auto buckets = reader->Buckets();
  if (!buckets.ok()) return;
  for (const std::string& bucket : *buckets) {
    std::string last;
    bool first = true;
    (void)reader->ForEach(bucket, [&](std::string_view key, std::string_view /*value*/) {
      JETD_CHECK(first || key > last) << "keys that do not ascend";
      first = false;
      last = key;
      return absl::OkStatus();
    });
  }
}

}  // namespace
}  // namespace jetd::bolt

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::bolt::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
