// SPDX-License-Identifier: Apache-2.0
// The input is a file that an operator names: a seed, credentials, certificates, a key. No error
// shows any of it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "base/fuzz_input.h"
#include "base/pem_files.h"
#include "base/strings.h"
#include "jetstream/nkey.h"

namespace jetd::jetstream {
namespace {

// No line of the file that could be a secret: long, and one word. The file's name may be told.
void CheckSilent(const absl::Status& status, FuzzInput input, const std::string& path = {}) {
  constexpr size_t kLong = 24;
  std::string said(MessageOf(status));
  if (const size_t at = said.find(path); at != std::string::npos) said.erase(at, path.size());
  while (!input.empty()) {
    const std::string_view line = input.Line();
    if (line.size() < kLong || line.find(' ') != line.npos) continue;
    JETD_CHECK(said.find(line) == std::string::npos) << status;
  }
}

void Try(FuzzInput input) {
  static const FuzzFile file;
  const std::string path = file.Write(input.rest());
  const auto seed = PublicNkeyOfSeed(input.rest());
  CheckSilent(seed.status(), input);
  if (seed.ok()) JETD_CHECK(seed->size() == 56 && (*seed)[0] == 'U') << *seed;
  CheckSilent(PublicNkeyOfFile(path).status(), input, path);
  CheckSilent(CheckCredsFile(path), input, path);
  const auto certificates = ReadCertificates(path);
  CheckSilent(certificates.status(), input, path);
  if (certificates.ok()) CheckSilent(ReadKeyOf(*certificates, path).status(), input, path);
}

}  // namespace
}  // namespace jetd::jetstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::jetstream::Try(jetd::FuzzInput(data, size_bytes));
  return 0;
}
