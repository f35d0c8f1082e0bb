// SPDX-License-Identifier: Apache-2.0
#include "cli/diff_view.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "base/strings.h"
#include "cli/table.h"
#include "nlohmann/json.hpp"
#include "replication/kube_object.h"

namespace jetd::cli {
namespace {

using replication::Encoding;
using replication::EncodingOf;
using replication::FieldChange;
using replication::StateChange;
using replication::StateKey;

constexpr size_t kShownHash = 12;
constexpr size_t kShownBytes = 80;

const char* NameOf(StateChange::Kind kind) {
  switch (kind) {
    case StateChange::Kind::kAdded:
      return "added";
    case StateChange::Kind::kDeleted:
      return "deleted";
    case StateChange::Kind::kChanged:
      break;
  }
  return "changed";
}

const StateKey& AnyOf(const StateChange& change) {
  return change.to != nullptr ? *change.to : *change.from;
}

bool IsEncrypted(const StateKey* key) {
  return key != nullptr && EncodingOf(key->value) == Encoding::kEncrypted;
}

std::string Numbers(const StateKey* key, int64_t number) {
  return key == nullptr ? "" : Cat(number);
}

// "12 -> 14", or the one that is there.
std::string Arrow(const std::string& from, const std::string& to) {
  if (from.empty() || to.empty() || from == to) return to.empty() ? from : to;
  return Cat(from, " -> ", to);
}

std::vector<FieldChange> FieldsOf(const StateChange& change) {
  if (change.kind != StateChange::Kind::kChanged ||
      EncodingOf(change.from->value) != Encoding::kJson ||
      EncodingOf(change.to->value) != Encoding::kJson) {
    return {};
  }
  return replication::FieldChanges(change.from->value, change.to->value);
}

// What can be said of the values without showing them.
std::string Detail(const StateChange& change, const std::vector<FieldChange>& fields) {
  const Encoding encoding = EncodingOf(AnyOf(change).value);
  std::string text = replication::NameOf(encoding);
  if (change.made_anew()) text += ", made anew";
  if (change.kind != StateChange::Kind::kChanged) return text;
  if (change.from->value == change.to->value) {
    text += change.from->lease == change.to->lease ? ", the same value" : ", the same value, lease";
  } else if (encoding == Encoding::kEncrypted) {
    text += ", opaque";
  } else if (!fields.empty()) {
    CatTo(text, ": ", Printable(fields.front().path, kShownBytes));
    if (fields.size() > 1) CatTo(text, " and ", fields.size() - 1, " more");
  } else {
    const auto hash = [](const StateKey& key) {
      return replication::HashText(key.value).substr(0, kShownHash);
    };
    CatTo(text, ", sha256 ", hash(*change.from), " -> ", hash(*change.to));
  }
  return text;
}

std::string Shown(const std::string& json) {
  return json.empty() ? "(none)" : Printable(json, kShownBytes);
}

nlohmann::json SideOf(const StateKey& key, bool values) {
  const Encoding encoding = EncodingOf(key.value);
  nlohmann::json json = {{"create_revision", key.create_revision.value()},
                         {"mod_revision", key.mod_revision.value()},
                         {"version", key.version},
                         {"encoding", replication::NameOf(encoding)},
                         {"value_bytes", key.value.size()},
                         {"sha256", replication::HashText(key.value)}};
  if (key.lease != LeaseId{}) json["lease"] = key.lease.value();
  if (values) json["value"] = Base64(key.value);
  return json;
}

}  // namespace

DiffView::DiffView(const std::vector<StateChange>& changes, Values values)
    : values_(values == Values::kYes) {
  for (const StateChange& change : changes) {
    Line line{.kind = "-", .space = {}, .name = {}, .change = &change};
    if (auto object = replication::ParseKubeKey(change.key); object.has_value()) {
      line.kind = std::move(object->resource);
      line.space = std::move(object->space);
      line.name = std::move(object->name);
    } else {
      line.name = std::string(change.key);
    }
    lines_.push_back(std::move(line));
    ++counts_[static_cast<size_t>(change.kind)];
    if (IsEncrypted(change.from) || IsEncrypted(change.to)) ++encrypted_;
  }
  std::sort(lines_.begin(), lines_.end(), [](const Line& a, const Line& b) {
    return std::tie(a.kind, a.space, a.name) < std::tie(b.kind, b.space, b.name);
  });
}

Table DiffView::ToTable() const {
  Table table({"CHANGE", "KIND", "NAMESPACE", "NAME", "REVISION", "BYTES", "VALUE"});
  for (const Line& line : lines_) {
    const StateChange& change = *line.change;
    const StateKey* const from = change.from;
    const StateKey* const to = change.to;
    const std::vector<FieldChange> fields = FieldsOf(change);
    table.Add({NameOf(change.kind), Printable(line.kind), Printable(line.space),
               Printable(line.name),
               Arrow(Numbers(from, from == nullptr ? 0 : from->mod_revision.value()),
                     Numbers(to, to == nullptr ? 0 : to->mod_revision.value())),
               Arrow(Numbers(from, from == nullptr ? 0 : static_cast<int64_t>(from->value.size())),
                     Numbers(to, to == nullptr ? 0 : static_cast<int64_t>(to->value.size()))),
               Detail(change, fields)});
    if (!values_) continue;
    for (const FieldChange& field : fields) {
      table.Add(
          {"", "", "", "", "", "",
           Cat("  ", Printable(field.path), ": ", Shown(field.from), " -> ", Shown(field.to))});
    }
  }
  return table;
}

std::string DiffView::ToJson() const {
  std::string text = "\"changes\":[";
  const auto dump = [](const nlohmann::json& json) {
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  for (const Line& line : lines_) {
    const StateChange& change = *line.change;
    nlohmann::json json = {{"change", NameOf(change.kind)},
                           {"key", Base64(change.key)},
                           {"name", std::string(change.key)},
                           {"made_anew", change.made_anew()}};
    if (line.kind != "-") {
      json["kind"] = line.kind;
      json["object"] = line.name;
      if (!line.space.empty()) json["namespace"] = line.space;
    }
    if (change.from != nullptr) json["from"] = SideOf(*change.from, values_);
    if (change.to != nullptr) json["to"] = SideOf(*change.to, values_);
    for (const FieldChange& field : FieldsOf(change)) {
      nlohmann::json one = {{"path", field.path}};
      if (values_) {
        if (!field.from.empty()) one["from"] = field.from;
        if (!field.to.empty()) one["to"] = field.to;
      }
      json["fields"].push_back(std::move(one));
    }
    CatTo(text, &line == &lines_.front() ? "\n" : ",\n", dump(json));
  }
  CatTo(text, "],\"counts\":",
        dump({{"added", counts_[0]},
              {"changed", counts_[1]},
              {"deleted", counts_[2]},
              {"encrypted", encrypted_}}));
  return text;
}

std::string DiffView::Summary() const {
  std::string text = Cat(counts_[0], " added, ", counts_[1], " changed, ", counts_[2], " deleted");
  if (encrypted_ > 0) {
    CatTo(text, "; ", encrypted_,
          encrypted_ == 1
              ? " of them is encrypted by Kubernetes: only that it changed can be said"
              : " of them are encrypted by Kubernetes: only that they changed can be said");
  }
  return text;
}

}  // namespace jetd::cli
