// SPDX-License-Identifier: Apache-2.0
#include "watch/interval_index.h"

#include "base/check.h"

namespace jetd::watch {
namespace {

// True if `a` ends later than `b`.
bool Further(const IntervalIndex::Node& a, const IntervalIndex::Node& b) {
  if (b.open_ended()) return false;
  return a.open_ended() || a.end > b.end;
}

}  // namespace

bool IntervalIndex::Before(const Node& node, const revision::KeyRange& range) {
  const int order = std::string_view(node.key).compare(range.key);
  return order < 0 || (order == 0 && node.end < range.end);
}

void IntervalIndex::Update(Node* node) {
  node->furthest = node;
  for (const Node* child : {node->left.get(), node->right.get()}) {
    if (child != nullptr && Further(*child->furthest, *node->furthest)) {
      node->furthest = child->furthest;
    }
  }
}

IntervalIndex::Tree IntervalIndex::Merge(Tree low, Tree high) {
  if (low == nullptr) return high;
  if (high == nullptr) return low;
  if (low->priority > high->priority) {
    low->right = Merge(std::move(low->right), std::move(high));
    Update(low.get());
    return low;
  }
  high->left = Merge(std::move(low), std::move(high->left));
  Update(high.get());
  return high;
}

std::pair<IntervalIndex::Tree, IntervalIndex::Tree> IntervalIndex::Split(
    Tree tree, const revision::KeyRange& at) {
  if (tree == nullptr) return {};
  if (Before(*tree, at)) {
    auto [low, high] = Split(std::move(tree->right), at);
    tree->right = std::move(low);
    Update(tree.get());
    return {std::move(tree), std::move(high)};
  }
  auto [low, high] = Split(std::move(tree->left), at);
  tree->left = std::move(high);
  Update(tree.get());
  return {std::move(low), std::move(tree)};
}

IntervalIndex::Node* IntervalIndex::Find(const revision::KeyRange& range) const {
  if (range.single()) {
    auto it = singles_.find(range.key);
    return it == singles_.end() ? nullptr : it->second.get();
  }
  Node* node = root_.get();
  while (node != nullptr && (node->key != range.key || node->end != range.end)) {
    node = Before(*node, range) ? node->right.get() : node->left.get();
  }
  return node;
}

IntervalIndex::Node* IntervalIndex::Acquire(const revision::KeyRange& range) {
  Node* node = Find(range);
  if (node == nullptr) node = Insert(range);
  ++node->users;
  return node;
}

IntervalIndex::Node* IntervalIndex::Insert(const revision::KeyRange& range) {
  auto made = std::make_unique<Node>();
  Node* node = made.get();
  node->key = range.key;
  node->end = range.end;
  if (range.single()) {
    singles_.emplace(node->key, std::move(made));
    return node;
  }
  // xorshift64: the same tree in every run.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 7;
  random_ ^= random_ << 17;
  node->priority = random_;
  Update(node);
  auto [low, high] = Split(std::move(root_), range);
  root_ = Merge(Merge(std::move(low), std::move(made)), std::move(high));
  ++ranges_;
  return node;
}

void IntervalIndex::Erase(Tree* tree, const Node* node) {
  JETD_CHECK(*tree != nullptr) << "a watched range is not in the tree";
  if (tree->get() == node) {
    Tree gone = std::move(*tree);
    *tree = Merge(std::move(gone->left), std::move(gone->right));
    return;
  }
  Node* here = tree->get();
  Erase(Before(*here, {node->key, node->end}) ? &here->right : &here->left, node);
  Update(here);
}

void IntervalIndex::Release(Node* node) {
  if (--node->users > 0) return;
  JETD_CHECK(node->synced.empty() && node->behind.empty()) << "released a range with watchers";
  if (node->single()) {
    // Not erase(key): the view it would compare with dies with the node.
    singles_.erase(singles_.find(node->key));
    return;
  }
  Erase(&root_, node);
  --ranges_;
}

}  // namespace jetd::watch
