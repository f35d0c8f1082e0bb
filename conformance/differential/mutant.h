// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_MUTANT_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_MUTANT_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "conformance/differential/step.h"

namespace jetd::conformance::differential {

// Mutant stands between the suite and the server under test and makes that server wrong in one way,
// on few occasions. The suite must find each: that is how it is known to look. It is given the
// server's own messages, so to the rest of the suite it is the server.
//
// Hooks are called on the thread that runs a step, OnWatchResponse on the client's; they share
// nothing.
class Mutant {
 public:
  virtual ~Mutant() = default;
  // Before the call is sent: a server that misreads requests.
  virtual void OnCall(Call& /*call*/) {}
  // After the answer came: a server that answers wrongly.
  virtual void OnAnswer(const Call& /*call*/, Answer& /*answer*/) {}
  // Each watch response; may drop it, change it or add to it.
  virtual std::vector<pb::WatchResponse> OnWatchResponse(pb::WatchResponse response) {
    return {std::move(response)};
  }
  // A call of the mutant's own after the step, which the suite does not know of; "" for none.
  virtual std::string HiddenPut(const Call& /*call*/) { return ""; }
};

struct MutantInfo {
  std::string_view name;
  std::string_view what;
};
[[nodiscard]] const std::vector<MutantInfo>& AllMutants();
// Null for a name that is not in the list.
[[nodiscard]] std::unique_ptr<Mutant> MakeMutant(std::string_view name);

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_MUTANT_H_
