// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/event_check.h"

#include "base/strings.h"

namespace jetd::conformance {
namespace {

bool Same(const HistoryEvent& a, const HistoryEvent& b) {
  return a.revision == b.revision && a.key == b.key && a.is_delete == b.is_delete &&
         a.value == b.value && a.version == b.version;
}

}  // namespace

void CheckEvents(const std::string& watcher, int64_t first, int64_t last,
                 const std::vector<HistoryEvent>& seen, const std::vector<HistoryEvent>& other,
                 history::Violations& violations) {
  int64_t next = first;
  for (const HistoryEvent& event : seen) {
    if (event.revision > last) break;
    if (event.revision < next) {
      violations.Add("repeated event", Cat(watcher, ": revision ", event.revision, " after ",
                                           next - 1, ": ", event.key));
      continue;
    }
    if (event.revision > next) {
      violations.Add("skipped event",
                     Cat(watcher, ": revisions ", next, " to ", event.revision - 1));
    }
    next = event.revision + 1;
  }
  if (next <= last) {
    violations.Add("skipped event", Cat(watcher, ": revisions ", next, " to ", last));
  }
  for (size_t i = 0; i < seen.size() && i < other.size(); ++i) {
    if (seen[i].revision > last || Same(seen[i], other[i])) continue;
    violations.Add("wrong event",
                   Cat(watcher, ": revision ", seen[i].revision, " is ", seen[i].key,
                       ", to another watcher ", other[i].key, " at revision ", other[i].revision));
    return;
  }
}

}  // namespace jetd::conformance
