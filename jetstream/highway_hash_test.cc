// SPDX-License-Identifier: Apache-2.0
#include "jetstream/highway_hash.h"

#include <numeric>
#include <string>
#include <string_view>
#include <utility>

#include "gtest/gtest.h"

namespace jetd::jetstream {

class HighwayHashPeer {
 public:
  static HighwayHash ByWords(const HighwayHash::Key& key) {
    HighwayHash hash(key);
    hash.update_ = &HighwayHash::UpdateByWords;
    return hash;
  }
};

namespace {

HighwayHash::Key CountingKey() {
  HighwayHash::Key key;
  std::iota(key.begin(), key.end(), static_cast<unsigned char>(0));
  return key;
}

std::string CountingBytes(size_t size) {
  std::string bytes(size, '\0');
  std::iota(bytes.begin(), bytes.end(), '\0');
  return bytes;
}

uint64_t HashOf(HighwayHash hash, std::string_view bytes) {
  hash.Append(bytes);
  return hash.Finish();
}

// The values that the authors' reference implementation gives for the bytes 0, 1, 2, …
TEST(HighwayHashTest, IsWhatItsAuthorsSay) {
  for (const auto& [size, expected] : {std::pair<size_t, uint64_t>(0, 0x907a56de22c26e53),
                                       {1, 0x7eab43aac7cddd78},
                                       {2, 0xb8d0569ab0b53d62},
                                       {3, 0x5c6befab8a463d80},
                                       {31, 0x9fc7007ccf035a68},
                                       {32, 0xa0c964d9ecd580fc},
                                       {33, 0x2c90f73ca03181fc},
                                       {64, 0x75542c5d4cd2a6ff}}) {
    EXPECT_EQ(HashOf(HighwayHash(CountingKey()), CountingBytes(size)), expected) << size;
    EXPECT_EQ(HashOf(HighwayHashPeer::ByWords(CountingKey()), CountingBytes(size)), expected)
        << size;
  }
}

TEST(HighwayHashTest, WordsAndVectorsAgree) {
  for (size_t size = 0; size < 300; ++size) {
    const std::string bytes = CountingBytes(size);
    EXPECT_EQ(HashOf(HighwayHash(CountingKey()), bytes),
              HashOf(HighwayHashPeer::ByWords(CountingKey()), bytes))
        << size;
  }
}

TEST(HighwayHashTest, TakesPiecesForTheWhole) {
  const std::string bytes = CountingBytes(150);
  HighwayHash hash(CountingKey());
  const uint64_t whole = HashOf(hash, bytes);
  for (size_t a = 0; a <= bytes.size(); a += 7) {
    for (size_t b = a; b <= bytes.size(); b += 13) {
      hash.Append(std::string_view(bytes).substr(0, a));
      hash.Append(std::string_view(bytes).substr(a, b - a));
      hash.Append(std::string_view(bytes).substr(b));
      ASSERT_EQ(hash.Finish(), whole) << a << " " << b;
    }
  }
}

}  // namespace
}  // namespace jetd::jetstream
