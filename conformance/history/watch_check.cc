// SPDX-License-Identifier: Apache-2.0
#include "conformance/history/watch_check.h"

#include <algorithm>

#include "base/strings.h"
#include "conformance/history/codec.h"

namespace jetd::conformance::history {

std::string Text(const WatchEvent& event) {
  std::string text = Cat(event.state.value == kAbsent ? "delete of k" : "put of k", event.key,
                         " at revision ", event.revision);
  if (event.state.value != kAbsent) CatTo(text, " = ", Text(event.state));
  if (event.has_prev) CatTo(text, ", before ", Text(event.prev));
  return text;
}

pb::WatchCreateRequest ToCreate(const KeySpace& keys, const WatchSpec& spec,
                                int64_t start_revision) {
  pb::WatchCreateRequest create;
  create.set_key(keys.Name(spec.first));
  if (spec.last != spec.first) create.set_range_end(keys.Name(spec.last) + '\0');
  create.set_start_revision(start_revision);
  create.set_prev_kv(spec.prev_kv);
  if (spec.no_put) create.add_filters(pb::WatchCreateRequest::NOPUT);
  if (spec.no_delete) create.add_filters(pb::WatchCreateRequest::NODELETE);
  return create;
}

WatchEvent ToWatchEvent(const KeySpace& keys, const mvccpb::Event& event) {
  WatchEvent result{.revision = event.kv().mod_revision(),
                    .key = keys.Find(event.kv().key()).value_or(static_cast<KeyId>(keys.size()))};
  if (event.type() == mvccpb::Event::DELETE) {
    result.state.mod = event.kv().mod_revision();
  } else {
    result.state = StateOf(event.kv());
  }
  if (event.has_prev_kv()) {
    result.has_prev = true;
    result.prev = StateOf(event.prev_kv());
  }
  return result;
}

std::vector<WatchEvent> ExpectedEvents(const WatchSpec& spec, State before,
                                       const std::vector<Transaction>& transactions,
                                       int64_t start_revision) {
  std::vector<WatchEvent> events;
  for (const Transaction& transaction : transactions) {
    for (const Change& change : transaction.changes) {
      const KeyState prev = before[change.key];
      Apply({change}, before);
      const bool is_delete = change.state.value == kAbsent;
      if (transaction.revision < start_revision || change.key < spec.first ||
          change.key > spec.last || (is_delete ? spec.no_delete : spec.no_put)) {
        continue;
      }
      const bool has_prev = spec.prev_kv && prev.value != kAbsent;
      events.push_back({.revision = transaction.revision,
                        .key = change.key,
                        .state = change.state,
                        .has_prev = has_prev,
                        .prev = has_prev ? prev : KeyState{}});
    }
  }
  return events;
}

void CompareEvents(const std::string& watcher, const std::vector<WatchEvent>& expected,
                   const std::vector<WatchEvent>& seen, Violations& violations) {
  const auto [want, got] =
      std::mismatch(expected.begin(), expected.end(), seen.begin(), seen.end());
  if (want == expected.end() && got == seen.end()) return;
  const auto text = [](auto it, const std::vector<WatchEvent>& events) {
    return it == events.end() ? std::string("nothing") : Text(*it);
  };
  std::string kind = "wrong event";
  if (got != seen.end() && std::find(seen.begin(), got, *got) != got) {
    kind = "repeated event";
  } else if (got == seen.end() || std::find(want, expected.end(), *got) != expected.end()) {
    kind = "skipped event";
  }
  violations.Add(
      kind, Cat(watcher, " saw ", seen.size(), " events of ", expected.size(),
                "; the first difference: ", text(got, seen), " instead of ", text(want, expected)));
}

std::vector<Transaction> ToTransactions(const std::vector<WatchEvent>& events) {
  std::vector<Transaction> transactions;
  for (const WatchEvent& event : events) {
    if (transactions.empty() || transactions.back().revision != event.revision) {
      transactions.push_back({event.revision, {}});
    }
    transactions.back().changes.push_back({event.key, event.state});
  }
  return transactions;
}

}  // namespace jetd::conformance::history
