// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_CONFORMANCE_HISTORY_PLANNER_H_
#define JETD_CONFORMANCE_HISTORY_PLANNER_H_

#include <cstdint>
#include <random>
#include <vector>

#include "conformance/history/key_space.h"
#include "conformance/history/model.h"
#include "conformance/history/operation.h"

namespace jetd::conformance::history {

// What one client asks next: puts, deletes, reads of a key, a group, everything, the past, some of
// them serializable; transactions of kube-apiserver's shape (if the key is as I saw it last) and of
// several keys. What it compares with is what it saw, so that many guards hold and many do not.
//
// The same seed and the same answers give the same requests. Every transaction that deletes also
// puts (see RevisionCheck). One thread.
class Planner {
 public:
  // `keys` outlives it.
  Planner(const KeySpace* keys, uint32_t client, uint64_t seed);

  [[nodiscard]] Request Next();
  // An answer to a request of this planner's.
  void Learn(const Operation& operation);
  [[nodiscard]] uint64_t planned() const { return planned_; }

 private:
  [[nodiscard]] uint64_t Roll(uint64_t sides) { return random_() % sides; }
  [[nodiscard]] KeyId FirstOfGroup();
  [[nodiscard]] Action Get(KeyId first, KeyId last) const;
  [[nodiscard]] Action Put(KeyId key);
  [[nodiscard]] Action Delete(KeyId first, KeyId last);
  [[nodiscard]] Compare MakeCompare(KeyId key);
  [[nodiscard]] Request Single(const Action& action) const;
  [[nodiscard]] Request Read();
  [[nodiscard]] Request UpdateOne();
  [[nodiscard]] Request ChangeGroup();
  [[nodiscard]] std::vector<Action> GroupBranch(KeyId first);
  [[nodiscard]] Request ChangeGroups();

  const KeySpace* const keys_;
  const uint32_t client_;
  std::mt19937_64 random_;
  uint64_t planned_ = 0;
  uint32_t part_ = 0;           // of the request being planned
  int64_t revision_ = 0;        // highest seen
  std::vector<KeyState> seen_;  // as this client saw the keys last
};

}  // namespace jetd::conformance::history

#endif  // JETD_CONFORMANCE_HISTORY_PLANNER_H_
