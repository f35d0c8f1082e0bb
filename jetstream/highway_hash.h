// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_JETSTREAM_HIGHWAY_HASH_H_
#define JETD_JETSTREAM_HIGHWAY_HASH_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace jetd::jetstream {

// HighwayHash with 64 bits (Alakuijala, Cox, Wassenberg, "Fast keyed hash/pseudo-random function
// using SIMD multiply and permute"): nats-server's checksum of each record in its files. Not for
// anything of our own. Takes whatever pieces it is given for their concatenation. One thread.
//
// 5 to 10 bytes a cycle where the processor has AVX2, 1 otherwise.
class HighwayHash {
 public:
  using Key = std::array<unsigned char, 32>;

  explicit HighwayHash(const Key& key);

  void Append(std::string_view bytes);
  // Of all that was appended since it was made or last asked; begins anew.
  [[nodiscard]] uint64_t Finish();

 private:
  static constexpr size_t kPacket = 32;
  using Lanes = std::array<uint64_t, 4>;
  struct State {
    Lanes v0, v1, mul0, mul1;
  };
  // Takes whole packets.
  using UpdateFn = void (*)(State* state, const char* packets, size_t count);

  [[nodiscard]] static UpdateFn BestUpdate();
  static void UpdateByWords(State* state, const char* packets, size_t count);
  static void UpdateByVectors(State* state, const char* packets, size_t count);
  void TakeRest();

  friend class HighwayHashPeer;  // of the test

  UpdateFn update_ = BestUpdate();
  State begin_;  // as the key makes it
  State state_;
  std::array<char, kPacket> rest_;  // less than a packet
  size_t rest_size_ = 0;
};

}  // namespace jetd::jetstream

#endif  // JETD_JETSTREAM_HIGHWAY_HASH_H_
