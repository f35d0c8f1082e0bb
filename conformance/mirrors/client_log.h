// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_MIRRORS_CLIENT_LOG_H_
#define JETD_CONFORMANCE_MIRRORS_CLIENT_LOG_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace jetd::conformance {

// What a store held at one moment, as a client knows it.
struct Moment {
  struct Key {
    std::string value{};
    int64_t create = 0, mod = 0, version = 0, lease = 0;
    friend bool operator==(const Key&, const Key&) = default;
  };
  int64_t revision = 1;
  std::map<std::string, Key, std::less<>> keys{};
  std::map<int64_t, int64_t> leases{};  // TTL in seconds
};

// ClientLog is the history of a store that one client alone writes to, from what it has asked for
// and etcd's rules, without any reading of what the store keeps: the judge of states that others
// say there were. A store starts empty, at revision 1; a step that changes no key adds no revision.
//
//   log.Do({.writes = {{"a", "1"}, {"b", "2"}}})   one transaction: revision 2
//   log.Do({.deletes = {"a", "x"}})                revision 3, x was not there
//   log.Do({.deletes = {"x"}})                     still 3
//
// Plain value; one thread at a time.
class ClientLog {
 public:
  struct Write {
    std::string key{}, value{};
    int64_t lease = 0;
  };
  // One request. Of its parts the leases come first; no key is named twice.
  struct Step {
    std::vector<Write> writes{};
    std::vector<std::string> deletes{};
    int64_t grant = 0, ttl_s = 0;  // a lease; 0: none
    int64_t revoke = 0;            // with its keys
    // By the wall's clock, when it was asked for and when that was known to have happened.
    int64_t asked_ns = 0, known_ns = 0;
  };

  // It has happened.
  void Do(Step step);
  // What the revision would be after it.
  [[nodiscard]] int64_t RevisionAfter(const Step& step) const;
  // As it is now.
  [[nodiscard]] const Moment& now() const { return now_; }
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }
  // The revision after each step.
  [[nodiscard]] const std::vector<int64_t>& revisions() const { return revisions_; }

  // The last step after which the revision is at most so.
  [[nodiscard]] size_t LastStepOf(int64_t revision) const;
  // The last step that changed the key; steps().size() if none did.
  [[nodiscard]] size_t LastChangeOf(const std::string& key) const;
  // Gives, for each of `wanted`, ascending, what there was after that step.
  void Replay(const std::vector<size_t>& wanted,
              const std::function<void(size_t step, const Moment&)>& see) const;
  // Alters what step `step` is said to have written, to test who compares. False: it wrote nothing.
  bool Doctor(size_t step);

 private:
  static void Apply(const Step& step, Moment* moment);

  Moment now_;
  std::vector<Step> steps_;
  std::vector<int64_t> revisions_;
  std::map<std::string, size_t> last_change_;
};

}  // namespace jetd::conformance

#endif  // JETD_CONFORMANCE_MIRRORS_CLIENT_LOG_H_
