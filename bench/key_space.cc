// SPDX-License-Identifier: Apache-2.0
#include "bench/key_space.h"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::bench {
namespace {

namespace pb = etcdclient::pb;

// SplitMix64's last steps: every bit of the input reaches every bit of the result.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15U;
  x = (x ^ (x >> 30U)) * 0xbf58476d1ce4e5b9U;
  x = (x ^ (x >> 27U)) * 0x94d049bb133111ebU;
  return x ^ (x >> 31U);
}

constexpr size_t kPoolBytes = size_t{8} << 20;

size_t OffsetOf(int64_t due_ns, int64_t index) {
  const uint64_t mixed = Mix(static_cast<uint64_t>(due_ns) ^ Mix(static_cast<uint64_t>(index)));
  return mixed % (kPoolBytes - ValueMaker::kMost);
}

}  // namespace

std::string PrefixEnd(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '\xff') prefix.pop_back();
  JETD_CHECK(!prefix.empty()) << "no key is above this prefix";
  prefix.back() = static_cast<char>(prefix.back() + 1);
  return prefix;
}

ValueMaker::ValueMaker() : pool_(kPoolBytes, '\0') {
  std::mt19937_64 random(42);  // the same in every run, or values of another run were strangers
  for (size_t i = 0; i < kPoolBytes; i += sizeof(uint64_t)) {
    const uint64_t bits = random();
    std::memcpy(pool_.data() + i, &bits, sizeof(bits));
  }
}

void ValueMaker::Make(int64_t due_ns, int64_t index, size_t size_bytes, std::string* out) const {
  JETD_CHECK(size_bytes >= kLeast && size_bytes <= kMost) << size_bytes;
  out->assign(pool_, OffsetOf(due_ns, index), size_bytes);
  std::memcpy(out->data(), &due_ns, sizeof(due_ns));
  std::memcpy(out->data() + sizeof(due_ns), &index, sizeof(index));
}

int64_t ValueMaker::StampOf(std::string_view value) {
  int64_t due_ns = 0;
  if (value.size() >= kLeast) std::memcpy(&due_ns, value.data(), sizeof(due_ns));
  return due_ns;
}

int64_t ValueMaker::IndexIn(std::string_view value) {
  int64_t index = -1;
  if (value.size() >= kLeast) std::memcpy(&index, value.data() + sizeof(int64_t), sizeof(index));
  return index;
}

std::optional<int64_t> ValueMaker::DueOf(std::string_view value, int64_t index) const {
  if (value.size() < kLeast || value.size() > kMost) return std::nullopt;
  const int64_t due_ns = StampOf(value);
  if (IndexIn(value) != index) return std::nullopt;
  const char* random = pool_.data() + OffsetOf(due_ns, index);
  if (std::memcmp(value.data() + kLeast, random + kLeast, value.size() - kLeast) != 0) {
    return std::nullopt;
  }
  return due_ns;
}

std::string KeySpace::NamespacePrefix(int number) const {
  char text[32];
  std::snprintf(text, sizeof(text), "namespace-%03d/", number % kNamespaces);
  return prefix_ + text;
}

void KeySpace::NameOf(int64_t index, std::string* out) const {
  char text[64];
  const int size = std::snprintf(text, sizeof(text), "namespace-%03d/workload-%08x-%08d",
                                 static_cast<int>(index % kNamespaces),
                                 static_cast<unsigned>(Mix(static_cast<uint64_t>(index))),
                                 static_cast<int>(index));
  out->assign(prefix_);
  out->append(text, static_cast<size_t>(size));
}

std::string KeySpace::NameOf(int64_t index) const {
  std::string name;
  NameOf(index, &name);
  return name;
}

std::optional<int64_t> KeySpace::IndexOf(std::string_view key) const {
  constexpr size_t kDigits = 8;
  if (key.size() < prefix_.size() + kDigits || !key.starts_with(prefix_)) return std::nullopt;
  int64_t index = 0;
  const char* const end = key.data() + key.size();
  const auto parsed = std::from_chars(end - kDigits, end, index);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return index;
}

void KeySpace::SetRevision(int64_t index, int64_t revision) {
  const auto i = static_cast<size_t>(index);
  if (i >= revisions_.size()) revisions_.resize(i + 1, 0);
  live_ += static_cast<int64_t>(revision != 0) - static_cast<int64_t>(revisions_[i] != 0);
  revisions_[i] = revision;
}

absl::Status KeySpace::Load(etcdclient::Client* client) {
  pb::RangeRequest request;
  request.set_key(prefix_);
  request.set_range_end(PrefixEnd(prefix_));
  request.set_keys_only(true);
  request.set_limit(10'000);
  while (true) {
    const auto answer = client->Call(request, {.timeout = std::chrono::seconds(60)});
    if (!answer.ok()) return answer.status();
    for (const auto& kv : answer->kvs()) {
      const auto index = IndexOf(kv.key());
      if (!index.has_value()) {
        return MakeStatus(absl::StatusCode::kFailedPrecondition,
                          "a key of somebody else's: ", kv.key());
      }
      SetRevision(*index, kv.mod_revision());
    }
    if (!answer->more()) return absl::OkStatus();
    request.set_key(Cat(answer->kvs().rbegin()->key(), '\0'));
    request.set_revision(answer->header().revision());
  }
}

}  // namespace jetd::bench
