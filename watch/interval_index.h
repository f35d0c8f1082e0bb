// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_WATCH_INTERVAL_INDEX_H_
#define JETD_WATCH_INTERVAL_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "revision/request.h"

namespace jetd::watch {

struct Watcher;

// IntervalIndex answers "who watches this key". Watchers of the same range share one Node, which
// holds the range's bytes once and the watchers in two lists. Single keys are in a hash table;
// ranges in a treap ordered by (key, end), in which every node knows the furthest end below it:
//
//   watch [a, z), [b, c), [m, \0)      \0 as end: no end
//   Stab("b") visits [a, z) and [b, c): left of "b" nothing ends before it and m starts after it
//
// Costs: Stab O(log n + ranges found) for ranges that nest or are apart, as prefixes are; Acquire
// and Release O(log n).
//
// Thread rules: one thread, the engine's.
class IntervalIndex {
 public:
  struct Node {
    std::string key;
    std::string end;  // as KeyRange::end
    std::vector<Watcher*> synced;
    std::vector<Watcher*> behind;

    [[nodiscard]] bool single() const { return end.empty(); }
    [[nodiscard]] bool open_ended() const { return end.size() == 1 && end[0] == '\0'; }
    // A key above or at `key` is in the range.
    [[nodiscard]] bool EndsAfter(std::string_view k) const { return open_ended() || k < end; }

   private:
    friend class IntervalIndex;
    size_t users = 0;  // Acquire less Release
    uint64_t priority = 0;
    const Node* furthest = nullptr;  // in this subtree
    std::unique_ptr<Node> left;
    std::unique_ptr<Node> right;
  };

  IntervalIndex() = default;
  IntervalIndex(const IntervalIndex&) = delete;
  IntervalIndex& operator=(const IntervalIndex&) = delete;

  // The node of exactly this range, made if it is not there. It stays where it is until it was
  // released as often as it was acquired; then its lists are empty.
  [[nodiscard]] Node* Acquire(const revision::KeyRange& range);
  void Release(Node* node);

  // Calls fn(Node&) for every range that holds `key`. `fn` changes the lists only.
  template <typename Fn>
  void Stab(std::string_view key, Fn&& fn) const {
    if (auto it = singles_.find(key); it != singles_.end()) fn(*it->second);
    StabTree(root_.get(), key, fn);
  }

  [[nodiscard]] size_t size() const { return singles_.size() + ranges_; }

 private:
  using Tree = std::unique_ptr<Node>;

  template <typename Fn>
  static void StabTree(Node* node, std::string_view key, Fn& fn) {
    while (node != nullptr && node->furthest->EndsAfter(key)) {
      StabTree(node->left.get(), key, fn);
      if (key < node->key) return;
      if (node->EndsAfter(key)) fn(*node);
      node = node->right.get();
    }
  }

  [[nodiscard]] static bool Before(const Node& node, const revision::KeyRange& range);
  [[nodiscard]] Node* Find(const revision::KeyRange& range) const;
  [[nodiscard]] Node* Insert(const revision::KeyRange& range);
  static void Update(Node* node);
  [[nodiscard]] static Tree Merge(Tree low, Tree high);
  // Ranges before `at`, and the others.
  [[nodiscard]] static std::pair<Tree, Tree> Split(Tree tree, const revision::KeyRange& at);
  static void Erase(Tree* tree, const Node* node);

  // Keys are views of the nodes' own.
  std::unordered_map<std::string_view, std::unique_ptr<Node>> singles_;
  Tree root_;
  size_t ranges_ = 0;
  uint64_t random_ = 0x9e3779b97f4a7c15;
};

}  // namespace jetd::watch

#endif  // JETD_WATCH_INTERVAL_INDEX_H_
