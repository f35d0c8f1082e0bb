// SPDX-License-Identifier: Apache-2.0
#include "replication/check_report.h"

#include <numeric>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace jetd::replication {
namespace {

constexpr std::array<std::string_view, kDamageKinds> kNames = {
    "foreign", "term",    "void", "group", "revision", "key",
    "lease",   "compact", "list", "index", "hash",     "alarm"};

std::string Printable(const std::string& bytes) { return absl::CHexEscape(bytes); }

std::string GarbageText(const GarbageCounts& garbage) {
  std::string text = Cat("garbage: ", garbage.sum(), " records");
  if (garbage.sum() == 0) return text;
  const char* before = " (";
  for (const auto& [count, name] :
       {std::pair(garbage.voided, "void"), std::pair(garbage.superseded, "superseded values"),
        std::pair(garbage.markers, "delete markers"), std::pair(garbage.came_back, "come back"),
        std::pair(garbage.barriers, "barriers"), std::pair(garbage.own_records, "jetd's own")}) {
    if (count > 0) CatTo(text, std::exchange(before, ", "), count, " ", name);
  }
  return text + ")";
}

std::string Hash(uint32_t hash) { return absl::StrCat(absl::Hex(hash, absl::kZeroPad8)); }

}  // namespace

std::string_view NameOf(Damage damage) { return kNames.at(static_cast<size_t>(damage)); }

void CheckReport::Add(Problem problem) {
  ++counts.at(static_cast<size_t>(problem.damage));
  if (problems.size() < kMaxProblems) problems.push_back(std::move(problem));
}

uint64_t CheckReport::damages() const {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

std::string ToText(const Problem& problem) {
  std::string text(NameOf(problem.damage));
  const char* before = ": ";
  const auto add = [&](const auto&... pieces) {
    CatTo(text, std::exchange(before, ", "), pieces...);
  };
  if (problem.seq != StreamSeq{}) add("sequence ", problem.seq.value());
  if (!problem.subject.empty()) add("subject ", Printable(problem.subject));
  if (!problem.key.empty()) add("key ", Printable(problem.key));
  if (problem.revision != Revision{}) add("revision ", problem.revision.value());
  CatTo(text, ": ", problem.what);
  return text;
}

std::string ToText(const CheckReport& report) {
  std::string text =
      Cat("read ", report.records, " records up to sequence ", report.last.value(), ": revision ",
          report.revision.value(), ", compacted ", report.compacted.value(), ", term ",
          report.term.value(), ", ", report.keys, " keys, ", report.leases, " leases\n",
          GarbageText(report.garbage), "\n");
  if (report.replayed)
    CatTo(text, "HashKV at revision ", report.revision.value(), ": ", Hash(report.hash), " (",
          report.hash, ")\n");
  for (const std::string& what : report.compared) CatTo(text, "the same: ", what, "\n");
  for (const std::string& notice : report.notices) CatTo(text, "note: ", notice, "\n");
  for (const Problem& problem : report.problems) CatTo(text, "DAMAGE ", ToText(problem), "\n");
  const uint64_t damages = report.damages();
  if (damages > report.problems.size()) {
    CatTo(text, "and ", damages - report.problems.size(), " more\n");
  }
  if (damages == 0) return text + "no damage\n";
  CatTo(text, damages, damages == 1 ? " damage:" : " damages:");
  for (size_t i = 0; i < kDamageKinds; ++i) {
    if (report.counts.at(i) > 0) CatTo(text, " ", kNames.at(i), " ", report.counts.at(i));
  }
  return text + "\n";
}

std::string ToJson(const CheckReport& report) {
  using nlohmann::json;
  const GarbageCounts& garbage = report.garbage;
  json object = {{"last_seq", report.last.value()},
                 {"records", report.records},
                 {"revision", report.revision.value()},
                 {"compacted", report.compacted.value()},
                 {"term", report.term.value()},
                 {"keys", report.keys},
                 {"leases", report.leases},
                 {"garbage",
                  {{"void", garbage.voided},
                   {"superseded", garbage.superseded},
                   {"markers", garbage.markers},
                   {"came_back", garbage.came_back},
                   {"barriers", garbage.barriers},
                   {"own_records", garbage.own_records}}},
                 {"notices", report.notices},
                 {"compared", report.compared},
                 {"damages", report.damages()},
                 {"counts", json::object()},
                 {"problems", json::array()}};
  if (report.replayed) object["hash"] = report.hash;
  for (size_t i = 0; i < kDamageKinds; ++i) {
    if (report.counts.at(i) > 0) object["counts"][std::string(kNames.at(i))] = report.counts.at(i);
  }
  for (const Problem& problem : report.problems) {
    json one = {{"damage", NameOf(problem.damage)}, {"what", problem.what}};
    if (problem.seq != StreamSeq{}) one["seq"] = problem.seq.value();
    if (!problem.subject.empty()) one["subject"] = problem.subject;
    if (!problem.key.empty()) {
      one["key"] = absl::Base64Escape(problem.key);
      one["name"] = problem.key;
    }
    if (problem.revision != Revision{}) one["revision"] = problem.revision.value();
    object["problems"].push_back(std::move(one));
  }
  return object.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace jetd::replication
