// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_DIFFERENTIAL_BAD_INPUT_H_
#define JETD_CONFORMANCE_DIFFERENTIAL_BAD_INPUT_H_

#include <vector>

#include "conformance/differential/op_maker.h"
#include "conformance/differential/step.h"

namespace jetd::conformance::differential {

// Requests that etcd refuses, or takes although they look odd: one random case, as the steps that
// it needs. Large ones (above a megabyte) come seldom.
[[nodiscard]] std::vector<Step> MakeBadInput(OpMaker& ops);

}  // namespace jetd::conformance::differential

#endif  // JETD_CONFORMANCE_DIFFERENTIAL_BAD_INPUT_H_
