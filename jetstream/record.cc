// SPDX-License-Identifier: Apache-2.0
#include "jetstream/record.h"

#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

#include "absl/strings/escaping.h"
#include "base/limits.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace jetd::jetstream {
namespace {

using nlohmann::json;

// The longest header: three numbers of 19 digits, 16 hex digits, 10/10 and 20 digits, five spaces.
constexpr size_t kMaxHeaderBytes = 3 * 19 + 16 + 21 + 20 + 5;
constexpr size_t kMaxTextBytes = 4096;

absl::Status Refuse(std::string_view what, std::string_view why) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, what, ": ", why);
}

// Takes everything up to `end` (or the rest, for '\0') off the front of `line`.
std::optional<std::string_view> TakeField(std::string_view& line, char end) {
  const size_t at = end == '\0' ? line.size() : line.find(end);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view field = line.substr(0, at);
  line.remove_prefix(end == '\0' ? at : at + 1);
  return field;
}

// A number as std::to_chars writes it: lower-case digits, no sign, no leading zero.
template <typename Number>
bool ParseNumber(std::string_view text, int base, Number& number) {
  if (text.empty() || (text[0] == '0' && text.size() > 1)) return false;
  for (const char c : text) {
    const bool digit = (c >= '0' && c <= '9') || (base == 16 && c >= 'a' && c <= 'f');
    if (!digit) return false;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return error == std::errc() && end == text.data() + text.size();
}

template <typename Number>
bool TakeNumber(std::string_view& line, char end, int base, Number& number) {
  const std::optional<std::string_view> field = TakeField(line, end);
  return field.has_value() && ParseNumber(*field, base, number);
}

// Takes a number of 7 bits a byte, lowest first, off the front of `bytes`.
std::optional<uint64_t> TakeVarint(std::string_view& bytes) {
  uint64_t value = 0;
  for (unsigned shift = 0; shift < 63 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<uint64_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

// JSON's strings are UTF-8; other bytes (from a flag, say) become U+FFFD instead of an exception.
std::string Dump(const json& object) {
  return object.dump(-1, ' ', /*ensure_ascii=*/false, json::error_handler_t::replace);
}

// A payload's object and typed access to its fields. The first wrong field is remembered, so that
// callers read them all and ask once. Fields that are not asked for are ignored: a jetd that adds
// one which older ones must not overlook raises kFormatVersion.
class Fields {
 public:
  Fields(std::string_view what, std::string_view payload) : what_(what) {
    if (payload.size() > limits::kMaxOwnRecordBytes) {
      error_ = "too large";
      return;
    }
    object_ = json::parse(payload, /*cb=*/nullptr, /*allow_exceptions=*/false);
    if (!object_.is_object()) error_ = "not a JSON object";
  }

  [[nodiscard]] bool ok() const { return error_.empty(); }
  [[nodiscard]] absl::Status status() const {
    return ok() ? absl::OkStatus() : Refuse(what_, error_);
  }
  void Fail(std::string_view name) {
    if (ok()) error_ = Cat("bad field ", name);
  }

  // An integer from `low` to `high`, both in.
  int64_t Int(const char* name, int64_t low, int64_t high) {
    const json* field = Find(name);
    if (field == nullptr) return low;
    // Numbers above int64 are unsigned, those above uint64 floating.
    if (!field->is_number_integer() ||
        (field->is_number_unsigned() && field->get<uint64_t>() > kInt64Max) ||
        field->get<int64_t>() < low || field->get<int64_t>() > high) {
      Fail(name);
      return low;
    }
    return field->get<int64_t>();
  }

  uint64_t Uint(const char* name) {
    const json* field = Find(name);
    return field == nullptr ? 0 : UintOf(*field, name);
  }

  std::string Text(const char* name) {
    const json* field = Find(name);
    return field == nullptr ? std::string() : TextOf(*field, name);
  }

  // Bytes of any number.
  std::string Base64(const char* name) {
    const json* field = Find(name);
    if (field == nullptr) return {};
    std::string bytes;
    if (!field->is_string() ||
        !absl::Base64Unescape(field->get_ref<const std::string&>(), &bytes)) {
      Fail(name);
      return {};
    }
    return bytes;
  }

  // 64 bits in hex: JSON tools keep 53 bits of a number.
  uint64_t Hex(const char* name) {
    uint64_t value = 0;
    if (!ParseNumber(Text(name), 16, value)) Fail(name);
    return value;
  }

  std::vector<std::string> Texts(const char* name) {
    std::vector<std::string> texts;
    const json* field = Array(name);
    if (field == nullptr) return texts;
    for (const json& text : *field) texts.push_back(TextOf(text, name));
    return texts;
  }

  std::vector<SeqRange> Ranges(const char* name) {
    std::vector<SeqRange> ranges;
    const json* field = Array(name);
    if (field == nullptr) return ranges;
    for (const json& pair : *field) {
      if (!pair.is_array() || pair.size() != 2) {
        Fail(name);
        return {};
      }
      const StreamSeq first(UintOf(pair[0], name));
      const StreamSeq last(UintOf(pair[1], name));
      if (first.value() == 0 || first > last) Fail(name);
      ranges.push_back({first, last});
    }
    return ranges;
  }

 private:
  static constexpr uint64_t kInt64Max = std::numeric_limits<int64_t>::max();

  const json* Find(const char* name) {
    if (!ok()) return nullptr;
    const auto it = object_.find(name);
    if (it == object_.end()) {
      error_ = Cat("no field ", name);
      return nullptr;
    }
    return &*it;
  }
  const json* Array(const char* name) {
    const json* field = Find(name);
    if (field == nullptr || field->is_array()) return field;
    Fail(name);
    return nullptr;
  }
  uint64_t UintOf(const json& field, const char* name) {
    if (field.is_number_unsigned()) return field.get<uint64_t>();
    Fail(name);
    return 0;
  }
  std::string TextOf(const json& field, const char* name) {
    if (field.is_string() && field.get_ref<const std::string&>().size() <= kMaxTextBytes) {
      return field.get<std::string>();
    }
    Fail(name);
    return {};
  }

  std::string_view what_;
  json object_;
  std::string error_;
};

std::string HexText(uint64_t value) {
  char hex[16];
  return {hex, std::to_chars(hex, hex + sizeof(hex), value, 16).ptr};
}

constexpr int64_t kNoHigh = std::numeric_limits<int64_t>::max();

}  // namespace

std::string EncodeHeader(const RecordHeader& header) {
  return Cat(header.revision.value(), ' ', header.create_revision.value(), ' ', header.version, ' ',
             HexText(static_cast<uint64_t>(header.lease.value())), ' ', header.index, '/',
             header.count, ' ', header.term.value());
}

absl::StatusOr<RecordHeader> DecodeHeader(std::string_view line) {
  constexpr std::string_view kWhat = "record header";
  if (line.size() > kMaxHeaderBytes) return Refuse(kWhat, "too long");
  int64_t revision = 0;
  int64_t create_revision = 0;
  uint64_t lease = 0;
  uint64_t term = 0;
  RecordHeader header;
  // A negative number has a sign, which no field takes; and each number that counts has a next one.
  if (!TakeNumber(line, ' ', 10, revision) || revision == kNoHigh) {
    return Refuse(kWhat, "bad revision");
  }
  if (!TakeNumber(line, ' ', 10, create_revision)) return Refuse(kWhat, "bad create revision");
  if (!TakeNumber(line, ' ', 10, header.version) || header.version == kNoHigh) {
    return Refuse(kWhat, "bad version");
  }
  if (!TakeNumber(line, ' ', 16, lease)) return Refuse(kWhat, "bad lease");
  if (!TakeNumber(line, '/', 10, header.index) || !TakeNumber(line, ' ', 10, header.count) ||
      header.index < 1 || header.index > header.count) {
    return Refuse(kWhat, "bad position");
  }
  if (!TakeNumber(line, '\0', 10, term) || Term(term).Next() == Term{}) {
    return Refuse(kWhat, "bad term");
  }
  header.revision = Revision(revision);
  header.create_revision = Revision(create_revision);
  header.lease = LeaseId(static_cast<int64_t>(lease));
  header.term = Term(term);
  return header;
}

std::string EncodeTerm(const TermRecord& term) {
  json voids = json::array();
  for (const SeqRange& range : term.voids) {
    voids.push_back(json::array({range.first.value(), range.last.value()}));
  }
  return Dump({{"format", term.format},
               {"term", term.term.value()},
               {"incarnation", term.incarnation},
               {"member_id", HexText(term.member_id)},
               {"member_name", term.member_name},
               {"client_urls", term.client_urls},
               {"voids", std::move(voids)}});
}

absl::StatusOr<TermRecord> DecodeTerm(std::string_view payload) {
  Fields fields("term record", payload);
  TermRecord term;
  const int64_t format = fields.Int("format", 1, kNoHigh);
  if (fields.ok() && format > kFormatVersion) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, "term record: format ", format,
                      " is newer than this program's ", kFormatVersion);
  }
  term.format = static_cast<int>(format);
  term.term = Term(fields.Uint("term"));
  if (term.term.Next() == Term{}) fields.Fail("term");
  term.incarnation = fields.Text("incarnation");
  term.member_id = fields.Hex("member_id");
  term.member_name = fields.Text("member_name");
  term.client_urls = fields.Texts("client_urls");
  term.voids = fields.Ranges("voids");
  if (term.incarnation.empty()) fields.Fail("incarnation");
  if (!fields.ok()) return fields.status();
  return term;
}

std::string EncodeCompact(const CompactRecord& compact) {
  return Dump({{"revision", compact.revision.value()}, {"bound", compact.bound.value()}});
}

absl::StatusOr<CompactRecord> DecodeCompact(std::string_view payload) {
  Fields fields("compact record", payload);
  CompactRecord compact;
  compact.revision = Revision(fields.Int("revision", 0, kNoHigh - 1));
  compact.bound = StreamSeq(fields.Uint("bound"));
  if (!fields.ok()) return fields.status();
  return compact;
}

std::string EncodeLive(const LiveRecord& record) {
  std::string deltas;
  uint64_t before = record.range.first.value() - 1;
  for (const StreamSeq seq : record.live) {
    uint64_t delta = seq.value() - before - 1;
    for (; delta >= 0x80; delta >>= 7) deltas.push_back(static_cast<char>(delta | 0x80));
    deltas.push_back(static_cast<char>(delta));
    before = seq.value();
  }
  return Dump({{"from", record.range.first.value()},
               {"to", record.range.last.value()},
               {"live", absl::Base64Escape(deltas)}});
}

absl::StatusOr<LiveRecord> DecodeLive(std::string_view payload) {
  Fields fields("live record", payload);
  LiveRecord record;
  record.range = {StreamSeq(fields.Uint("from")), StreamSeq(fields.Uint("to"))};
  const std::string deltas = fields.Base64("live");
  if (record.range.first.value() == 0 || record.range.first > record.range.last) {
    fields.Fail("from");
  }
  uint64_t before = record.range.first.value() - 1;
  std::string_view rest = deltas;
  while (fields.ok() && !rest.empty()) {
    const std::optional<uint64_t> delta = TakeVarint(rest);
    // No sum here overflows: what is left of the range is compared first.
    if (!delta.has_value() || *delta >= record.range.last.value() - before) {
      fields.Fail("live");
      break;
    }
    before += *delta + 1;
    record.live.emplace_back(before);
  }
  if (!fields.ok()) return fields.status();
  return record;
}

const char* NameOf(AlarmType type) {
  switch (type) {
    case AlarmType::kNoSpace:
      return "NOSPACE";
    case AlarmType::kCorrupt:
      return "CORRUPT";
    case AlarmType::kMirror:
      break;
  }
  return "MIRROR";
}

std::string ToText(const Alarm& alarm) {
  return Cat(NameOf(alarm.type), " ", HexText(alarm.member_id));
}

std::string EncodeAlarms(const AlarmRecord& record) {
  json alarms = json::array();
  for (const Alarm& alarm : record.alarms) alarms.push_back(ToText(alarm));
  return Dump({{"alarms", std::move(alarms)}});
}

absl::StatusOr<AlarmRecord> DecodeAlarms(std::string_view payload) {
  Fields fields("alarm record", payload);
  AlarmRecord record;
  for (const std::string& text : fields.Texts("alarms")) {
    std::string_view member(text);
    const std::optional<std::string_view> name = TakeField(member, ' ');
    Alarm alarm;
    if (!name.has_value() || !ParseNumber(member, 16, alarm.member_id)) {
      fields.Fail("alarms");
      break;
    }
    for (const AlarmType type : {AlarmType::kNoSpace, AlarmType::kCorrupt, AlarmType::kMirror}) {
      alarm.type = type;
      if (*name == NameOf(type)) record.alarms.push_back(alarm);
    }
  }
  if (!fields.ok()) return fields.status();
  return record;
}

std::string EncodeLease(const LeaseRecord& lease) {
  return Dump({{"ttl", lease.ttl_s}, {"granted_ms", lease.granted_ms}});
}

absl::StatusOr<LeaseRecord> DecodeLease(std::string_view payload) {
  Fields fields("lease record", payload);
  LeaseRecord lease;
  lease.ttl_s = fields.Int("ttl", 1, limits::kMaxLeaseTtlSeconds);
  lease.granted_ms = fields.Int("granted_ms", 0, kNoHigh);
  if (!fields.ok()) return fields.status();
  return lease;
}

}  // namespace jetd::jetstream
