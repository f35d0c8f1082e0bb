// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_SIM_EXPECTATION_H_
#define JETD_CONFORMANCE_SIM_EXPECTATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "conformance/sim/ledger.h"
#include "conformance/sim/request.h"
#include "revision/request.h"

namespace jetd::conformance::sim {

// What a request does to the state at a revision, as plainly as can be. Leases are not looked at.
struct Expectation {
  struct Result {
    const Action* action = nullptr;
    std::vector<Version> kvs;  // of a range; what a put or a delete replaced
    int64_t count = 0;         // of a range: keys there are; of a delete: keys deleted
  };
  bool succeeded = true;
  std::vector<Result> results;
  std::vector<Version> changes;  // numbered as the next revision
};
[[nodiscard]] Expectation Expect(const Request& request, const Ledger& ledger, Revision before);

// "" if the answer says so, otherwise what it says differently.
[[nodiscard]] std::string Difference(const Request& request, const Expectation& expected,
                                     const revision::OpResult& answer);
// Of a range by itself, `kvs` being all that lives in it.
[[nodiscard]] std::string Difference(const Action& range, const std::vector<const Version*>& kvs,
                                     const revision::RangeResult& answer);

[[nodiscard]] Revision RevisionOf(const revision::OpResult& answer);

}  // namespace jetd::conformance::sim

#endif  // JETD_CONFORMANCE_SIM_EXPECTATION_H_
