// SPDX-License-Identifier: Apache-2.0
//
// What a kube-apiserver's keys and values are, for people who look at them. Pure functions; any
// thread.
#ifndef JETD_REPLICATION_KUBE_OBJECT_H_
#define JETD_REPLICATION_KUBE_OBJECT_H_

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace jetd::replication {

// What a key stands for.
//   /registry/pods/default/web                      pods                  default  web
//   /registry/services/specs/default/web            services              default  web
//   /registry/minions/node-1                        nodes                          node-1
//   /registry/example.com/widgets/default/w         widgets.example.com   default  w
struct KubeObject {
  std::string resource;  // as kubectl names it, with the group where the key has one
  std::string space;     // the namespace; empty: cluster-scoped
  std::string name;
};
// Nothing if the key has not that shape.
[[nodiscard]] std::optional<KubeObject> ParseKubeKey(std::string_view key);

enum class Encoding {
  kEncrypted,  // by Kubernetes, at rest: opaque
  kProtobuf,   // Kubernetes' own
  kJson,       // an object: custom resources
  kOther,
};
[[nodiscard]] Encoding EncodingOf(std::string_view value);
[[nodiscard]] const char* NameOf(Encoding encoding);  // "encrypted"

// Whether a stored object of Kubernetes says that it is being deleted: whether its metadata has a
// deletionTimestamp. Nothing if that cannot be read in it: it is encrypted, no such object, or JSON
// nested deeper than 100 levels.
[[nodiscard]] std::optional<bool> IsBeingDeleted(std::string_view value);

// Of two JSON objects, what differs, by its JSON pointer, ascending. Values as JSON, empty: not
// there. Nothing if one of them cannot be read, or is nested deeper than 100 levels.
//   /spec/replicas   1   3
struct FieldChange {
  std::string path, from, to;
};
[[nodiscard]] std::vector<FieldChange> FieldChanges(std::string_view from, std::string_view to);

// SHA-256, in hex.
[[nodiscard]] std::string HashText(std::string_view value);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_KUBE_OBJECT_H_
