// SPDX-License-Identifier: Apache-2.0
#include "jetstream/subject.h"

#include <array>
#include <charconv>
#include <cstdint>

#include "base/check.h"
#include "base/strings.h"

namespace jetd::jetstream {
namespace {

constexpr std::string_view kOwnToken = "_jetd";
constexpr std::string_view kLeasePart = "_jetd.lease.";
constexpr std::string_view kHexDigits = "0123456789ABCDEF";

// Bytes that stand for themselves, a dot and an underscore where they may.
constexpr std::array<bool, 256> MakePlainTable() {
  std::array<bool, 256> table{};
  for (int c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (const char c : {'-', '/', '_', '.'}) table[static_cast<uint8_t>(c)] = true;
  return table;
}
constexpr std::array<bool, 256> kPlain = MakePlainTable();

// True when the key, written plainly, would have `_jetd` as its first token. A dot right after it
// that ends the key is escaped, and then belongs to the token.
bool LooksLikeOurs(std::string_view key) {
  if (key.substr(0, kOwnToken.size()) != kOwnToken) return false;
  if (key.size() == kOwnToken.size()) return true;
  return key[kOwnToken.size()] == '.' && key.size() > kOwnToken.size() + 1;
}

bool IsPlain(std::string_view key, size_t i, bool ours) {
  const char c = key[i];
  if (c == '.') return i > 0 && i + 1 < key.size() && key[i - 1] != '.';
  if (c == '_' && i == 0) return !ours;
  return kPlain[static_cast<uint8_t>(c)];
}

// Whether a key is its own encoding, as nearly all are: IsPlain of all of it, in one go.
bool AllPlain(std::string_view key) {
  char before = '.';
  for (const char c : key) {
    if (!kPlain[static_cast<uint8_t>(c)] || (c == '.' && before == '.')) return false;
    before = c;
  }
  return before != '.' && !LooksLikeOurs(key);
}

// Upper-case hex only; -1 for anything else.
int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::Status Refuse(std::string_view why, std::string_view subject) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, "subject ", why, ": 0x",
                    HexOf(subject.substr(0, 64)));
}

void EncodeTo(std::string_view key, std::string& out) {
  const bool ours = LooksLikeOurs(key);
  for (size_t i = 0; i < key.size(); ++i) {
    if (IsPlain(key, i, ours)) {
      out.push_back(key[i]);
      continue;
    }
    const auto byte = static_cast<uint8_t>(key[i]);
    out.push_back('=');
    out.push_back(kHexDigits[byte >> 4]);
    out.push_back(kHexDigits[byte & 15]);
  }
}

// False when `text` has an escape that is not `=XX`.
bool Unescape(std::string_view text, std::string& key) {
  key.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '=') {
      key.push_back(text[i]);
      continue;
    }
    if (text.size() - i < 3) return false;
    const int high = HexValue(text[i + 1]);
    const int low = HexValue(text[i + 2]);
    if (high < 0 || low < 0) return false;
    key.push_back(static_cast<char>(high << 4 | low));
    i += 2;
  }
  return true;
}

// Lower-case hex as LeaseSubject writes it, or false.
bool ParseLease(std::string_view text, LeaseId& id) {
  if (text.empty() || text.size() > 16 || text[0] == '0') return false;
  for (const char c : text) {
    if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f')) return false;
  }
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, 16);
  id = LeaseId(static_cast<int64_t>(value));
  return true;
}

}  // namespace

SubjectCodec::SubjectCodec(std::string_view bucket) : prefix_(Cat("$KV.", bucket, ".")) {}

std::string SubjectCodec::EncodeKey(std::string_view key) const {
  JETD_CHECK(!key.empty()) << "an empty key has no subject";
  std::string subject;
  subject.reserve(prefix_.size() + key.size() + 16);
  subject.append(prefix_);
  EncodeTo(key, subject);
  return subject;
}

size_t SubjectCodec::EncodedSize(std::string_view key) const {
  const bool ours = LooksLikeOurs(key);
  size_t size_bytes = prefix_.size();
  for (size_t i = 0; i < key.size(); ++i) size_bytes += IsPlain(key, i, ours) ? 1 : 3;
  return size_bytes;
}

std::string SubjectCodec::LeaseSubject(LeaseId id) const {
  char hex[16];
  const auto end = std::to_chars(hex, hex + sizeof(hex), static_cast<uint64_t>(id.value()), 16).ptr;
  return Cat(prefix_, kLeasePart, std::string_view(hex, static_cast<size_t>(end - hex)));
}

absl::StatusOr<SubjectCodec::Decoded> SubjectCodec::Decode(std::string_view subject) const {
  if (subject.substr(0, prefix_.size()) != prefix_) return Refuse("of another bucket", subject);
  const std::string_view text = subject.substr(prefix_.size());
  Decoded decoded;
  if (text.substr(0, text.find('.')) == kOwnToken) {
    if (text == "_jetd.term") {
      decoded.kind = Kind::kTerm;
    } else if (text == "_jetd.compact") {
      decoded.kind = Kind::kCompact;
    } else if (text == "_jetd.barrier") {
      decoded.kind = Kind::kBarrier;
    } else if (text == "_jetd.live") {
      decoded.kind = Kind::kLive;
    } else if (text == "_jetd.alarm") {
      decoded.kind = Kind::kAlarm;
    } else if (text.substr(0, kLeasePart.size()) == kLeasePart &&
               ParseLease(text.substr(kLeasePart.size()), decoded.lease)) {
      decoded.kind = Kind::kLease;
    }
    return decoded;
  }
  decoded.kind = Kind::kKey;
  if (AllPlain(text)) {
    decoded.key = text;
    return decoded;
  }
  if (!Unescape(text, decoded.key)) return Refuse("with a broken escape", subject);
  if (decoded.key.empty()) return Refuse("without a key", subject);
  // One spelling a key: what was escaped must have had to be, and the other way round.
  std::string again;
  again.reserve(text.size());
  EncodeTo(decoded.key, again);
  if (again != text) return Refuse("that spells its key in another way", subject);
  return decoded;
}

}  // namespace jetd::jetstream
