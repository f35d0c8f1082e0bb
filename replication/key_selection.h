// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_KEY_SELECTION_H_
#define JETD_REPLICATION_KEY_SELECTION_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace jetd::replication {

// Which keys are meant: those with one of some prefixes, those of some namespaces of Kubernetes;
// without either, all. Immutable; any thread.
//
// The keys of namespace `web`, as a kube-apiserver with its default --etcd-prefix writes them:
//   /registry/namespaces/web                    the namespace itself
//   /registry/pods/web/NAME                     a resource of Kubernetes' own
//   /registry/services/specs/web/NAME           services and their endpoints have one part more
//   /registry/example.com/widgets/web/NAME      a custom resource; its group has a dot
// and not
//   /registry/example.com/web/NAME              a custom resource of the cluster, named `web`
class KeySelection {
 public:
  // InvalidArgument: an empty prefix or namespace, or one with a slash.
  [[nodiscard]] static absl::StatusOr<KeySelection> Make(std::vector<std::string> prefixes,
                                                         std::vector<std::string> namespaces);

  [[nodiscard]] bool all() const { return prefixes_.empty() && namespaces_.empty(); }
  [[nodiscard]] bool Matches(std::string_view key) const;

  // Keys from `begin` to `end`, which is out; as etcd spells them: from "\0" to "\0" are all.
  struct Range {
    std::string begin;
    std::string end;
    friend bool operator==(const Range&, const Range&) = default;
  };
  // Ranges that hold all keys that match, and others; ascending, none overlaps another.
  [[nodiscard]] std::vector<Range> Ranges() const;

  // For people: "all keys", "keys with prefix /a and of namespace web".
  [[nodiscard]] std::string Text() const;
  // The flags that say so, a space before each: " --prefix=/a --namespace=web".
  [[nodiscard]] std::string Flags() const;

 private:
  std::vector<std::string> prefixes_, namespaces_;
};

// The first key behind all that begin with `prefix`; "\0" (no end): there is none.
[[nodiscard]] std::string EndOfPrefix(std::string_view prefix);

// Text as a shell takes it for one word.
[[nodiscard]] std::string ShellWord(std::string_view text);

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_KEY_SELECTION_H_
