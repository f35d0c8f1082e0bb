// SPDX-License-Identifier: Apache-2.0
// The input is what a nats-server says: an answer of the JetStream API, the reply subject of a
// consumer's message, a version, a URL.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "jetstream/append_chain.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_endpoint.h"
#include "jetstream/nats_probe.h"
#include "jetstream/nats_reader.h"
#include "jetstream/stream_setup.h"

namespace jetd::jetstream {
namespace {

void Try(std::string_view input) {
  const nlohmann::json answer = ParseAnswer(input);
  JETD_CHECK(answer.is_object()) << input;
  const ApiError error = ApiErrorOf(answer);
  if (error.code != 0) JETD_CHECK(!RefusalOf(error).ok()) << input;
  (void)IntegerOf(answer, "seq", 0);
  const auto facts = FactsOf(answer);
  if (facts.ok()) JETD_CHECK(answer.at("config").is_object()) << input;
  const auto config = answer.find("config");
  if (config != answer.end() && config->is_object()) {
    // Only what is written here as we would write it passes.
    const absl::Status checked = CheckStreamConfig("b", *config);
    if (checked.ok()) JETD_CHECK(config->at("metadata").is_object()) << input;
  }
  DeliveryFacts delivery;
  (void)ParseDelivery(input, delivery);
  const std::string text(input);
  (void)VersionAtLeast(text, 2, 10);
  const std::string shown = UrlWithoutSecrets(text);
  JETD_CHECK(shown.find('@') == std::string::npos) << "a secret may be in " << shown;
}

}  // namespace
}  // namespace jetd::jetstream

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size_bytes) {
  jetd::jetstream::Try({reinterpret_cast<const char*>(data), size_bytes});
  return 0;
}
