// SPDX-License-Identifier: Apache-2.0
//
// For tests: stores whose values are in files.
#ifndef JETD_REVISION_VALUE_HARNESS_H_
#define JETD_REVISION_VALUE_HARNESS_H_

#include <memory>
#include <string>
#include <utility>

#include "base/check.h"
#include "base/testing/scratch_folder.h"
#include "revision/store.h"
#include "revision/value_files.h"

namespace jetd::revision {

inline std::unique_ptr<ValueFiles> OpenValueFiles(ValueFiles::Options options) {
  auto files = ValueFiles::Open(std::move(options));
  JETD_CHECK(files.ok()) << files.status();
  return *std::move(files);
}

// Every value is worth a file, and files so small that a few versions fill one.
inline void UseTinyValueFiles(Store* store, const std::string& folder, size_t budget_bytes,
                              bool keep = false) {
  store->UseValueFiles(
      OpenValueFiles({.folder = folder, .segment_bytes = 200, .buffer_bytes = 90, .keep = keep}),
      {.budget_bytes = budget_bytes, .min_value_bytes = 1});
}

}  // namespace jetd::revision

#endif  // JETD_REVISION_VALUE_HARNESS_H_
