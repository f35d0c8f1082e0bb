// SPDX-License-Identifier: Apache-2.0
#include "jetstream/highway_hash.h"

#include <algorithm>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace jetd::jetstream {
namespace {

// The fraction of pi, as the function's authors chose.
constexpr std::array<uint64_t, 4> kMul0 = {0xdbe6d5d5fe4cce2f, 0xa4093822299f31d0,
                                           0x13198a2e03707344, 0x243f6a8885a308d3};
constexpr std::array<uint64_t, 4> kMul1 = {0x3bd39e10cb0ef593, 0xc0acf169b5f18a8c,
                                           0xbe5466cf34e90c6c, 0x452821e638d01377};
constexpr int kFinalRounds = 4;

uint64_t LittleEndian(const char* bytes) {
  uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
  word = __builtin_bswap64(word);
#endif
  return word;
}

uint64_t SwapHalves(uint64_t word) { return word << 32U | word >> 32U; }

// The byte of `word` at `from`, moved to `to`; both count from the lowest.
constexpr uint64_t Move(uint64_t word, unsigned from, unsigned to) {
  return (word >> (8 * from) & 0xffU) << (8 * to);
}

// The products' bytes differ in how well they are mixed; this puts good ones beside bad ones.
void AddZipped(uint64_t low, uint64_t high, uint64_t* to_low, uint64_t* to_high) {
  *to_low += Move(low, 3, 0) | Move(high, 4, 1) | Move(low, 2, 2) | Move(low, 5, 3) |
             Move(high, 6, 4) | Move(low, 1, 5) | Move(high, 7, 6) | Move(low, 0, 7);
  *to_high += Move(high, 3, 0) | Move(low, 4, 1) | Move(high, 2, 2) | Move(high, 5, 3) |
              Move(high, 1, 4) | Move(low, 6, 5) | Move(high, 0, 6) | Move(low, 7, 7);
}

}  // namespace

void HighwayHash::UpdateByWords(State* state, const char* packets, size_t count) {
  State s = *state;
  for (; count > 0; --count, packets += kPacket) {
    for (size_t i = 0; i < s.v0.size(); ++i) {
      s.v1[i] += s.mul0[i] + LittleEndian(packets + 8 * i);
      s.mul0[i] ^= (s.v1[i] & 0xffffffffU) * (s.v0[i] >> 32U);
      s.v0[i] += s.mul1[i];
      s.mul1[i] ^= (s.v0[i] & 0xffffffffU) * (s.v1[i] >> 32U);
    }
    AddZipped(s.v1[0], s.v1[1], &s.v0[0], &s.v0[1]);
    AddZipped(s.v1[2], s.v1[3], &s.v0[2], &s.v0[3]);
    AddZipped(s.v0[0], s.v0[1], &s.v1[0], &s.v1[1]);
    AddZipped(s.v0[2], s.v0[3], &s.v1[2], &s.v1[3]);
  }
  *state = s;
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void HighwayHash::UpdateByVectors(State* state, const char* packets,
                                                                  size_t count) {
  const auto lanes = [](auto* words) { return reinterpret_cast<__m256i*>(words->data()); };
  __m256i v0 = _mm256_loadu_si256(lanes(&state->v0));
  __m256i v1 = _mm256_loadu_si256(lanes(&state->v1));
  __m256i mul0 = _mm256_loadu_si256(lanes(&state->mul0));
  __m256i mul1 = _mm256_loadu_si256(lanes(&state->mul1));
  // Which byte goes where: AddZipped, as one instruction.
  const __m256i zip = _mm256_setr_epi8(3, 12, 2, 5, 14, 1, 15, 0, 11, 4, 10, 13, 9, 6, 8, 7,  //
                                       3, 12, 2, 5, 14, 1, 15, 0, 11, 4, 10, 13, 9, 6, 8, 7);
  for (; count > 0; --count, packets += kPacket) {
    const __m256i packet = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(packets));
    v1 = _mm256_add_epi64(v1, _mm256_add_epi64(mul0, packet));
    mul0 = _mm256_xor_si256(mul0, _mm256_mul_epu32(v1, _mm256_srli_epi64(v0, 32)));
    v0 = _mm256_add_epi64(v0, mul1);
    mul1 = _mm256_xor_si256(mul1, _mm256_mul_epu32(v0, _mm256_srli_epi64(v1, 32)));
    v0 = _mm256_add_epi64(v0, _mm256_shuffle_epi8(v1, zip));
    v1 = _mm256_add_epi64(v1, _mm256_shuffle_epi8(v0, zip));
  }
  _mm256_storeu_si256(lanes(&state->v0), v0);
  _mm256_storeu_si256(lanes(&state->v1), v1);
  _mm256_storeu_si256(lanes(&state->mul0), mul0);
  _mm256_storeu_si256(lanes(&state->mul1), mul1);
}
#else
void HighwayHash::UpdateByVectors(State* state, const char* packets, size_t count) {
  UpdateByWords(state, packets, count);
}
#endif

HighwayHash::UpdateFn HighwayHash::BestUpdate() {
#if defined(__x86_64__)
  static const bool has_vectors = __builtin_cpu_supports("avx2") != 0;
  if (has_vectors) return &UpdateByVectors;
#endif
  return &UpdateByWords;
}

HighwayHash::HighwayHash(const Key& key) : begin_{{}, {}, kMul0, kMul1} {
  for (size_t i = 0; i < kMul0.size(); ++i) {
    const uint64_t word = LittleEndian(reinterpret_cast<const char*>(key.data()) + 8 * i);
    begin_.v0[i] = kMul0[i] ^ word;
    begin_.v1[i] = kMul1[i] ^ SwapHalves(word);
  }
  state_ = begin_;
}

void HighwayHash::Append(std::string_view bytes) {
  if (rest_size_ > 0) {
    const size_t taken = std::min(kPacket - rest_size_, bytes.size());
    std::memcpy(rest_.data() + rest_size_, bytes.data(), taken);
    rest_size_ += taken;
    bytes.remove_prefix(taken);
    if (rest_size_ < kPacket) return;
    update_(&state_, rest_.data(), 1);
    rest_size_ = 0;
  }
  const size_t packets = bytes.size() / kPacket;
  update_(&state_, bytes.data(), packets);
  bytes.remove_prefix(packets * kPacket);
  std::copy(bytes.begin(), bytes.end(), rest_.begin());
  rest_size_ = bytes.size();
}

void HighwayHash::TakeRest() {
  const size_t size = rest_size_;
  const size_t words = size & ~size_t{3};
  const size_t odd = size & 3U;
  for (uint64_t& lane : state_.v0) lane += (uint64_t{size} << 32U) + size;
  for (uint64_t& lane : state_.v1) {
    const auto rotate = [size](uint32_t half) {
      return static_cast<uint64_t>(half << size | half >> (32 - size));
    };
    lane = rotate(static_cast<uint32_t>(lane)) | rotate(static_cast<uint32_t>(lane >> 32U)) << 32U;
  }
  std::array<char, kPacket> packet{};
  std::copy_n(rest_.begin(), words, packet.begin());
  if ((size & 16U) != 0) {
    // The last four bytes, whether they were copied before or not.
    std::copy_n(rest_.begin() + static_cast<ptrdiff_t>(size) - 4, 4, packet.begin() + 28);
  } else if (odd != 0) {
    packet[16] = rest_[words];
    packet[17] = rest_[words + odd / 2];
    packet[18] = rest_[words + odd - 1];
  }
  update_(&state_, packet.data(), 1);
}

uint64_t HighwayHash::Finish() {
  if (rest_size_ > 0) TakeRest();
  for (int round = 0; round < kFinalRounds; ++round) {
    const Lanes& v0 = state_.v0;
    const Lanes turned = {SwapHalves(v0[2]), SwapHalves(v0[3]), SwapHalves(v0[0]),
                          SwapHalves(v0[1])};
    std::array<char, kPacket> packet;
    for (size_t i = 0; i < turned.size(); ++i) {
      for (size_t b = 0; b < 8; ++b) packet[8 * i + b] = static_cast<char>(turned[i] >> (8 * b));
    }
    update_(&state_, packet.data(), 1);
  }
  const uint64_t hash = state_.v0[0] + state_.v1[0] + state_.mul0[0] + state_.mul1[0];
  state_ = begin_;
  rest_size_ = 0;
  return hash;
}

}  // namespace jetd::jetstream
