// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_REPLICATION_MIRRORS_H_
#define JETD_REPLICATION_MIRRORS_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "jetstream/api_session.h"
#include "jetstream/mirror_config.h"
#include "jetstream/mirror_probe.h"
#include "replication/config_lock.h"
#include "replication/stream_source.h"

namespace jetd::replication {

// The mirrors of a bucket on a nats-server: made, listed, looked at, removed
// (docs/adr/0090-mirrors.md). One connection; from the server on it both JetStream domains must be
// reached. Every call blocks; any one thread.
class Mirrors {
 public:
  // InvalidArgument: a source with a server of its own, which is in no domain.
  [[nodiscard]] static absl::StatusOr<std::unique_ptr<Mirrors>> Open(const StreamSource& origin);

  enum class Replace {
    kNo,
    kOldPrimary,  // a stream there that was the primary before this one was promoted is deleted
  };
  struct AddOptions {
    std::string domain{};  // where to
    std::string name{};    // empty: as the domain
    uint64_t cap_records = jetstream::MirrorDeclaration::kDefaultCap;
    int replicas = 1;
    Replace replace = Replace::kNo;
    std::function<void(std::string_view line)> say{};  // what is being done, for people
  };
  // Declares it, then makes it, so that removal waits for it from its first record on. Again, with
  // the same or another cap: the declaration is what was asked for. A mirror that is there and was
  // not declared, so that removal did not wait for it, is read whole first. AlreadyExists: the
  // domain has another stream of that name. FailedPrecondition: the origin is no bucket that can be
  // served, or in no domain; or what is there is no copy of it.
  // Aborted: others change things at the same time.
  [[nodiscard]] absl::Status Add(const AddOptions& options);

  [[nodiscard]] absl::StatusOr<std::vector<jetstream::MirrorDeclaration>> List();
  // How each of them is. One that is cut off is in the answer. With a domain only the one there,
  // declared or not: a bucket that was made anew has lost its declarations. What an earlier look
  // has compared (`known`) is not compared again.
  using States = std::vector<jetstream::MirrorState>;
  [[nodiscard]] absl::StatusOr<std::vector<jetstream::MirrorReport>> Look(
      const std::string& domain = {}, States known = {});
  // When the origin does not answer: what the mirror in a domain says of itself.
  [[nodiscard]] absl::StatusOr<jetstream::MirrorFacts> LookAlone(const std::string& domain);
  // By name, or with none the only one. NotFound, or InvalidArgument if there are several.
  [[nodiscard]] absl::StatusOr<jetstream::MirrorDeclaration> Find(const std::string& name);

  enum class Data { kKeep, kDelete };
  // Takes the declaration back, and deletes the mirror's stream, if it is a mirror of this one. One
  // that is kept, and is no copy, says so itself from then on. Unavailable: it is to be kept and
  // does not answer, and some mirror of the bucket was found to be no copy.
  [[nodiscard]] absl::Status Remove(const std::string& name, Data data);

  // Where the mirror's records are read.
  [[nodiscard]] StreamSource SourceOf(const jetstream::MirrorDeclaration& mirror) const;

 private:
  Mirrors(StreamSource origin, std::unique_ptr<jetstream::ApiSession> session)
      : origin_(std::move(origin)), session_(std::move(session)) {}
  // The answer to STREAM.INFO.
  [[nodiscard]] absl::StatusOr<nlohmann::json> Info(const std::string& domain);
  // The origin's configuration as it is now, edited, which says what it must declare then. Aborted:
  // the lock was lost; or somebody without one wrote at the same time.
  using Edit = std::function<void(nlohmann::json* config)>;
  [[nodiscard]] absl::Status Redeclare(ConfigLock* lock, const Edit& edit);
  [[nodiscard]] absl::StatusOr<std::string> OwnDomain();
  // What an Add finds. Changes nothing, and refuses what it would have to refuse.
  struct Ground {
    jetstream::OriginMark origin;
    nlohmann::json config;  // the origin's
    enum class There { kNothing, kMirror, kOldPrimary } there = There::kNothing;
  };
  [[nodiscard]] absl::StatusOr<Ground> LookForAdd(const AddOptions& options);
  [[nodiscard]] absl::StatusOr<Ground::There> LookThere(const AddOptions& options,
                                                        const Ground& ground);
  // That a mirror which is there already is one: by what it says of itself, which is then the
  // answer; and read whole.
  [[nodiscard]] absl::StatusOr<States> ProbeCopy(const std::string& domain, States known);
  [[nodiscard]] absl::Status ReadCopy(const std::string& domain);
  // What is known against a mirror that is to be kept: its origin will forget it. Empty: nothing.
  [[nodiscard]] absl::StatusOr<std::string> WhyNoCopy(const std::string& domain);
  // Unless the stream there is no mirror of the one that was made then.
  [[nodiscard]] absl::Status MarkKept(ConfigLock* lock, const std::string& domain,
                                      int64_t origin_created_ns, const std::string& why);
  [[nodiscard]] absl::Status Create(ConfigLock* lock, const jetstream::MirrorDeclaration& mirror,
                                    const Ground& ground, int replicas);

  const StreamSource origin_;
  const std::unique_ptr<jetstream::ApiSession> session_;
};

}  // namespace jetd::replication

#endif  // JETD_REPLICATION_MIRRORS_H_
