// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_REQUEST_MAKER_H_
#define JETD_CONFORMANCE_SIM_REQUEST_MAKER_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/sim/ledger.h"
#include "conformance/sim/random.h"
#include "conformance/sim/request.h"

namespace jetd::conformance::sim {

// RequestMaker thinks of requests on a dozen keys. A value names the operation that puts it.
class RequestMaker {
 public:
  RequestMaker(Random* random, const Ledger* ledger) : random_(random), ledger_(ledger) {}

  // Of operation number `id`; `lease` is one that some of its puts may hang on, 0: none.
  [[nodiscard]] Request Write(uint64_t id, LeaseId lease);
  [[nodiscard]] Action Range();
  // A key, or a piece of the key space with a few; as KeyRange.
  void ChooseRange(std::string* key, std::string* end);

  // The operation whose value this is.
  [[nodiscard]] static std::optional<uint64_t> OperationOf(std::string_view value);

 private:
  [[nodiscard]] std::string Key(size_t number) const { return "k" + std::to_string(number); }
  [[nodiscard]] std::string Value(uint64_t id, size_t part);
  [[nodiscard]] Action Change(uint64_t id, size_t part, size_t key, LeaseId lease);
  [[nodiscard]] std::vector<Action> Branch(uint64_t id, LeaseId lease, size_t first_part);
  [[nodiscard]] Comparison Compare();

  Random* const random_;
  const Ledger* const ledger_;
};

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_REQUEST_MAKER_H_
