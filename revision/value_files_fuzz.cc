// SPDX-License-Identifier: Apache-2.0
// The input is a segment of the value files that a process left, behind three bytes: what a
// checkpoint says of it is taken or refused. Then its bytes are encodings, each behind its length,
// that are appended and scanned as the cleaning does: what is scanned is what was appended.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/check.h"
#include "base/fuzz_input.h"
#include "revision/value_files.h"
#include "revision/value_harness.h"

namespace jetd::revision {
namespace {

void TakeOver(FuzzInput input, const std::string& folder) {
  const size_t named = input.Byte();
  const ValueLocation location{.segment = 1, .offset = input.Byte(), .size = input.Byte()};
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  std::ofstream(folder + "/00000001.values", std::ios::binary | std::ios::trunc) << input.rest();
  const std::unique_ptr<ValueFiles> files = OpenValueFiles({.folder = folder, .keep = true});
  const absl::Status adopted = files->Adopt({{.number = 1, .size = named}});
  if (!adopted.ok()) return files->Clear();
  JETD_CHECK(named <= input.rest().size()) << "a segment that is too short";
  if (files->Use(location)) {
    JETD_CHECK(uint64_t{location.offset} + location.size <= named) << "beyond its end";
  }
}

void Scan(FuzzInput input, const std::string& folder) {
  const std::unique_ptr<ValueFiles> files =
      OpenValueFiles({.folder = folder, .segment_bytes = 64, .buffer_bytes = 32});
  std::vector<std::string> appended;
  std::optional<ValueLocation> last;
  while (!input.empty()) {
    const std::string_view encoded = input.Chunk();
    const Revision revision(static_cast<int64_t>(appended.size()) + 1);
    appended.emplace_back(encoded);
    last = files->Append({.main = revision, .sub = 0}, encoded);
    JETD_CHECK(last.has_value()) << "the disk takes it";
  }
  if (!last.has_value()) return;
  for (uint32_t segment = 1; segment < last->segment; ++segment) {
    if (!files->Has(segment)) continue;
    uint32_t offset = 0;
    const auto see = [&appended](const ValueFiles::Record& record) {
      const std::string& encoded = appended.at(static_cast<size_t>(record.mod.main.value()) - 1);
      JETD_CHECK(record.encoded == encoded) << "not what was appended";
      JETD_CHECK(record.key.empty() || encoded.find(record.key) != std::string::npos) << "a key";
      return true;
    };
    while (!files->Scan(segment, &offset, 40, see)) {
    }
  }
}

void Try(const FuzzInput& input) {
  static const FuzzFile file;
  TakeOver(input, file.folder() + "/values");
  Scan(input, file.folder() + "/appended");
}

}  // namespace
}  // namespace jetd::revision

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::revision::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
