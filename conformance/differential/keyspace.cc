// SPDX-License-Identifier: Apache-2.0
#include "conformance/differential/keyspace.h"

#include <algorithm>

#include "base/strings.h"

namespace jetd::conformance::differential {
namespace {

constexpr int kObjects = 70;
constexpr int kSiblings = 25;

std::vector<std::string> OddKeys() {
  const std::string nul(1, '\0');
  return {
      nul,
      "a",
      "a" + nul,
      "a" + nul + nul + "b",
      "a//b",
      "/",
      "//",
      "/registry",
      "/registry/",
      "/registry//",
      "registry/pods/",
      "_jetd.term",
      "_jetd.lease.1",
      "_jetd",
      "_jetd.",
      "/_jetd.term",
      "$KV.B.a",
      "$JS.API.STREAM.INFO",
      ".",
      "..",
      ".a",
      "a.",
      "a..b",
      "a.b.c",
      "*",
      "a.*",
      ">",
      "a.>",
      "a*b>c",
      " ",
      " a b ",
      "\t\r\n",
      "=",
      "=41",
      "=4",
      "a=2Eb",
      "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80",  // UTF-8
      "\xc3",                                  // and what is none
      "\x80\x81",
      "\xff",
      "\xff\xff",
      "\xff\xfe\xff",
      "\x7f",
      "\x01",
      "A",
      "Z",
      "z",
      "~",
      "a/",
      "a/b",
      "a/b/c",
      "ab",
      "abc",
  };
}

}  // namespace

std::string Keyspace::EndOf(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  if (prefix.empty()) return std::string(1, '\0');
  ++prefix.back();
  return prefix;
}

Keyspace::Keyspace(Random* random) {
  const std::vector<std::string> resources = {"pods", "pods/status", "events", "leases", "secrets"};
  const std::vector<std::string> spaces = {"default", "kube-system", "a", "a-b", "aa"};
  prefixes_ = {"/", "/registry/", "/registry/pods/", "a", "a/", "\xff", "_", "."};
  for (const auto& resource : resources) {
    for (const auto& space : spaces)
      prefixes_.push_back(Cat("/registry/", resource, "/", space, "/"));
  }
  for (int i = 0; i < kObjects; ++i) {
    keys_.push_back("/registry/" + random->Pick(resources) + "/" + random->Pick(spaces) + "/web-" +
                    std::to_string(random->Between(0, 20)));
  }
  for (int i = 0; i < kSiblings; ++i) {
    const std::string key = random->Pick(keys_);
    keys_.push_back(key + std::string(1, static_cast<char>(random->Between(0, 255))));
    keys_.push_back(key + "/sub");
  }
  for (std::string& odd : OddKeys()) keys_.push_back(std::move(odd));
  for (int i = 0; i < 10; ++i) {
    keys_.push_back(random->Bytes(static_cast<size_t>(random->Between(1, 40))));
  }
  keys_.push_back(std::string(700, 'k'));
  std::sort(keys_.begin(), keys_.end());
  keys_.erase(std::unique(keys_.begin(), keys_.end()), keys_.end());
}

}  // namespace jetd::conformance::differential
