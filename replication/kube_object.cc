// SPDX-License-Identifier: Apache-2.0
#include "replication/kube_object.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "base/kubepb/kube_meta.pb.h"
#include "base/strings.h"
#include "nlohmann/json.hpp"

namespace jetd::replication {
namespace {

constexpr std::string_view kRegistry = "/registry/";
constexpr std::string_view kEncrypted = "k8s:enc:";
constexpr std::string_view kProtobuf("k8s\0", 4);
constexpr int kMaxDepth = 100;

// Of those whose keys do not have the resource's name.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kNames = {{
    {"minions", "nodes"},
    {"controllers", "replicationcontrollers"},
    {"ingress", "ingresses"},
    {"services/specs", "services"},
    {"services/endpoints", "endpoints"},
}};

std::vector<std::string_view> Split(std::string_view text) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0;;) {
    const size_t end = text.find('/', begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string_view::npos) return parts;
    begin = end + 1;
  }
}

std::string NamedAsKubectlDoes(const std::string& resource) {
  const auto* const found = std::find_if(kNames.begin(), kNames.end(),
                                         [&](const auto& one) { return one.first == resource; });
  return found == kNames.end() ? resource : std::string(found->second);
}

// An object, not nested deeper than kMaxDepth; otherwise none.
nlohmann::json ParseObject(std::string_view text) {
  int deepest = 0;
  const nlohmann::json::parser_callback_t look =
      [&deepest](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
        deepest = std::max(deepest, depth);
        return depth < kMaxDepth;
      };
  auto json = nlohmann::json::parse(text.begin(), text.end(), look, /*exceptions=*/false);
  return json.is_object() && deepest < kMaxDepth ? json : nlohmann::json();
}

// Path -> value. Nothing if it cannot be read.
std::optional<std::map<std::string, std::string>> Fields(std::string_view text) {
  const nlohmann::json json = ParseObject(text);
  if (!json.is_object()) return std::nullopt;
  std::map<std::string, std::string> fields;
  const nlohmann::json flat = json.flatten();
  for (const auto& [path, value] : flat.items()) {
    fields[path] = value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  return fields;
}

}  // namespace

std::optional<KubeObject> ParseKubeKey(std::string_view key) {
  if (!key.starts_with(kRegistry)) return std::nullopt;
  const std::vector<std::string_view> parts = Split(key.substr(kRegistry.size()));
  if (std::any_of(parts.begin(), parts.end(), [](std::string_view p) { return p.empty(); })) {
    return std::nullopt;
  }
  size_t at = 1;
  std::string resource(parts[0]);
  const bool group = resource.find('.') != std::string::npos;
  if ((group || resource == "services") && parts.size() > 1) {
    resource = group ? Cat(parts[1], ".", parts[0]) : Cat(parts[0], "/", parts[1]);
    at = 2;
  }
  const size_t rest = parts.size() - at;
  if (rest != 1 && rest != 2) return std::nullopt;
  return KubeObject{.resource = NamedAsKubectlDoes(resource),
                    .space = rest == 2 ? std::string(parts[at]) : "",
                    .name = std::string(parts.back())};
}

Encoding EncodingOf(std::string_view value) {
  if (value.starts_with(kEncrypted)) return Encoding::kEncrypted;
  if (value.starts_with(kProtobuf)) return Encoding::kProtobuf;
  return value.starts_with('{') ? Encoding::kJson : Encoding::kOther;
}

const char* NameOf(Encoding encoding) {
  switch (encoding) {
    case Encoding::kEncrypted:
      return "encrypted";
    case Encoding::kProtobuf:
      return "protobuf";
    case Encoding::kJson:
      return "json";
    case Encoding::kOther:
      break;
  }
  return "bytes";
}

std::optional<bool> IsBeingDeleted(std::string_view value) {
  if (EncodingOf(value) == Encoding::kJson) {
    const nlohmann::json object = ParseObject(value);
    const auto metadata = object.find("metadata");
    if (metadata == object.end() || !metadata->is_object()) return std::nullopt;
    const auto time = metadata->find("deletionTimestamp");
    return time != metadata->end() && !time->is_null();
  }
  if (EncodingOf(value) != Encoding::kProtobuf) return std::nullopt;
  value.remove_prefix(kProtobuf.size());
  jetdkube::Envelope envelope;
  jetdkube::Object object;
  if (!envelope.ParseFromArray(value.data(), static_cast<int>(value.size())) ||
      !envelope.content_encoding().empty() || !object.ParseFromString(envelope.raw()) ||
      object.metadata().name().empty()) {
    return std::nullopt;
  }
  return object.metadata().has_deletion_timestamp();
}

std::vector<FieldChange> FieldChanges(std::string_view from, std::string_view to) {
  const auto before = Fields(from);
  const auto after = Fields(to);
  std::vector<FieldChange> changes;
  if (!before.has_value() || !after.has_value()) return changes;
  std::map<std::string, FieldChange> all;
  for (const auto& [path, value] : *before) all[path].from = value;
  for (const auto& [path, value] : *after) all[path].to = value;
  for (auto& [path, change] : all) {
    if (change.from == change.to) continue;
    change.path = path;
    changes.push_back(std::move(change));
  }
  return changes;
}

std::string HashText(std::string_view value) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned int size = 0;
  if (EVP_Digest(value.data(), value.size(), digest.data(), &size, EVP_sha256(), nullptr) != 1) {
    return "";
  }
  return HexOf(std::string_view(reinterpret_cast<const char*>(digest.data()), size));
}

}  // namespace jetd::replication
