// SPDX-License-Identifier: Apache-2.0
// The input is a header line.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "jetstream/record.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  const std::string_view line(reinterpret_cast<const char*>(data), size_bytes);
  const auto header = jetd::jetstream::DecodeHeader(line);
  if (header.ok()) JETD_CHECK(jetd::jetstream::EncodeHeader(*header) == line);
  return 0;
}
