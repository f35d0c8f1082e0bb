// SPDX-License-Identifier: Apache-2.0
#include "watch/interval_index.h"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace jetd::watch {
namespace {

using revision::KeyRange;
using RangeText = std::pair<std::string, std::string>;

const std::string kOpen(1, '\0');

KeyRange RangeOf(const RangeText& text) { return {text.first, text.second}; }

std::vector<RangeText> Stabbed(const IntervalIndex& index, const std::string& key) {
  std::vector<RangeText> out;
  index.Stab(key, [&](IntervalIndex::Node& node) { out.emplace_back(node.key, node.end); });
  std::sort(out.begin(), out.end());
  return out;
}

// The naive model: every range with how often it is held.
using Model = std::map<RangeText, std::vector<IntervalIndex::Node*>>;

std::vector<RangeText> Expected(const Model& model, const std::string& key) {
  std::vector<RangeText> out;
  for (const auto& [text, nodes] : model) {
    if (!nodes.empty() && RangeOf(text).Contains(key)) out.push_back(text);
  }
  return out;
}

void Acquire(IntervalIndex* index, Model* model, const RangeText& text) {
  (*model)[text].push_back(index->Acquire(RangeOf(text)));
}

void Release(IntervalIndex* index, Model* model, const RangeText& text) {
  auto it = model->find(text);
  index->Release(it->second.back());
  it->second.pop_back();
  if (it->second.empty()) model->erase(it);
}

const std::vector<std::string> kPoints = {kOpen, "a", std::string("a\0", 2), "aa", "b", "ba"};

std::vector<RangeText> SmallRanges() {
  std::vector<RangeText> out;
  const std::vector<std::string> ends = {"", kOpen, "a", "aa", "b", "ba"};
  for (const std::string& key : {kOpen, std::string("a"), std::string("aa"), std::string("b")}) {
    for (const std::string& end : ends) out.emplace_back(key, end);
  }
  return out;
}

TEST(IntervalIndexTest, EveryTripleOfSmallRangesStabsAsTheModel) {
  const std::vector<RangeText> ranges = SmallRanges();
  for (const RangeText& a : ranges) {
    for (const RangeText& b : ranges) {
      for (const RangeText& c : ranges) {
        IntervalIndex index;
        Model model;
        for (const RangeText& text : {a, b, c}) Acquire(&index, &model, text);
        for (const std::string& point : kPoints) {
          ASSERT_EQ(Stabbed(index, point), Expected(model, point));
        }
        Release(&index, &model, b);
        ASSERT_EQ(index.size(), model.size());
        for (const std::string& point : kPoints) {
          ASSERT_EQ(Stabbed(index, point), Expected(model, point));
        }
        Release(&index, &model, a);
        Release(&index, &model, c);
        ASSERT_EQ(index.size(), 0U);
      }
    }
  }
}

TEST(IntervalIndexTest, SameRangeSharesANode) {
  IntervalIndex index;
  IntervalIndex::Node* first = index.Acquire({"a", "b"});
  EXPECT_EQ(index.Acquire({"a", "b"}), first);
  IntervalIndex::Node* single = index.Acquire({"a", ""});
  EXPECT_NE(single, first);
  EXPECT_EQ(index.Acquire({"a", ""}), single);
  EXPECT_EQ(index.size(), 2U);
  index.Release(first);
  EXPECT_EQ(index.size(), 2U);
  index.Release(first);
  EXPECT_EQ(index.size(), 1U);
  index.Release(single);
  index.Release(single);
  EXPECT_EQ(index.size(), 0U);
}

std::string RandomKey(std::mt19937_64* random) {
  std::string key;
  const size_t length = 1 + (*random)() % 3;
  for (size_t i = 0; i < length; ++i) key.push_back(static_cast<char>('a' + (*random)() % 4));
  return key;
}

TEST(IntervalIndexTest, RandomInsertsAndErasesStabAsTheModel) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937_64 random(seed);
    IntervalIndex index;
    Model model;
    for (int step = 0; step < 2'000; ++step) {
      if (random() % 5 < 3 || model.empty()) {
        std::string end = RandomKey(&random);
        if (random() % 8 == 0) end = kOpen;
        if (random() % 4 == 0) end.clear();
        Acquire(&index, &model, {RandomKey(&random), end});
      } else {
        auto it = model.begin();
        std::advance(it, random() % model.size());
        Release(&index, &model, RangeText(it->first));
      }
      const std::string point = RandomKey(&random);
      ASSERT_EQ(Stabbed(index, point), Expected(model, point));
      ASSERT_EQ(index.size(), model.size());
    }
    while (!model.empty()) Release(&index, &model, RangeText(model.begin()->first));
  }
}

TEST(IntervalIndexTest, TenThousandPrefixesAndKeys) {
  IntervalIndex index;
  std::vector<IntervalIndex::Node*> nodes;
  for (int i = 0; i < 5'000; ++i) {
    const std::string prefix = "/registry/kind" + std::to_string(i) + "/";
    nodes.push_back(index.Acquire({prefix, prefix.substr(0, prefix.size() - 1) + "0"}));
    nodes.push_back(index.Acquire({prefix + "one", ""}));
  }
  nodes.push_back(index.Acquire({"/registry/", "/registry0"}));
  for (int i = 0; i < 5'000; ++i) {
    const std::string prefix = "/registry/kind" + std::to_string(i) + "/";
    ASSERT_EQ(Stabbed(index, prefix + "one").size(), 3U);
    ASSERT_EQ(Stabbed(index, prefix + "two").size(), 2U);
  }
  for (IntervalIndex::Node* node : nodes) index.Release(node);
  EXPECT_EQ(index.size(), 0U);
}

}  // namespace
}  // namespace jetd::watch
