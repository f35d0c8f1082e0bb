// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDCLIENT_TESTING_FAKE_KINE_H_
#define JETD_ETCDCLIENT_TESTING_FAKE_KINE_H_

#include <cstdint>
#include <memory>
#include <string>

namespace jetd::etcdclient {

// A server with what kine serves of etcd's API, in memory, for a test: ranges of a prefix that ends
// with a slash, watches of such a prefix (the range's end is ignored), no keys_only, no lease calls
// but LeaseGrant, whose id is its time; no version of a key, no cluster id. Every change is a
// revision. Beside that it has the faults of kine on NATS, each as often as it is told.
//
// Thread rules: any thread.
class FakeKine {
 public:
  struct Faults {
    // Versions that are kept of a key: a list at a revision before them leaves the key out.
    int history = 10;
    int lose_every = 0;           // one of so many events is never told
    int repeat_every = 0;         // one is told twice, the second time some events later
    int sibling_every = 0;        // one is followed by an event of a key that was not asked for
    int break_every = 0;          // after so many events a watch ends; the next one repeats some
    bool progress_ahead = false;  // says that it is at a revision whose events it did not send yet
    bool hides_a_key_once = false;  // the next list at the newest revision lacks its first key
  };

  explicit FakeKine(Faults faults);
  ~FakeKine();
  FakeKine(const FakeKine&) = delete;
  FakeKine& operator=(const FakeKine&) = delete;

  [[nodiscard]] const std::string& endpoint() const;

  // The revision of the change.
  int64_t Put(const std::string& key, const std::string& value, int64_t lease = 0);
  int64_t Delete(const std::string& key);
  // A revision that changes no key, as kine's own compaction makes them.
  int64_t Skip();
  void Compact(int64_t revision);
  void set_hides_a_key_once();
  [[nodiscard]] int watches() const;  // that were opened

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace jetd::etcdclient

#endif  // JETD_ETCDCLIENT_TESTING_FAKE_KINE_H_
