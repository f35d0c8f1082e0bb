// SPDX-License-Identifier: Apache-2.0
#include "cli/target_flags.h"

#include <utility>

#include "base/strings.h"
#include "cli/flags.h"
#include "jetstream/nats_program.h"
#include "jetstream/stream_setup.h"

namespace jetd::cli {

using replication::StreamSource;

void TargetFlags::AddTo(CLI::App* app) {
  const std::string group = "The new bucket";
  const auto add = [&](const char* name, std::string* value, const char* help) {
    AddText(app, group, name, value, help);
  };
  add("--to-bucket", &bucket_, "Its name [etcd with --to-data-dir]");
  add("--to-data-dir", &data_dir_,
      "New data folder, for a jetd with a nats-server of its own; none may run on it");
  add("--to-nats-url", &nats_url_, "nats:// or tls:// URLs of its JetStream server");
  add("--to-nats-server", &nats_server_, "Program for --to-data-dir [found in PATH]");
  nats_.AddTo(app, group);
  AddNumber(app, group, "--to-replicas", &replicas_, "Replicas of its stream [1]", 1, 5);
  AddNumber(app, group, "--bump", &bump_,
            Cat("Revisions between the old store and the new [", replication::kDefaultBump, "]"),
            int64_t{1});
}

absl::StatusOr<StreamSource> TargetFlags::Read(const StreamSource* beside) const {
  StreamSource target;
  if (!data_dir_.empty() && !nats_url_.empty()) {
    return Invalid("--to-data-dir and --to-nats-url are two places; give one of them");
  }
  if (!bucket_.empty()) target.bucket = bucket_;
  if (!jetstream::IsBucketName(target.bucket)) {
    return Invalid("--to-bucket: \"", target.bucket,
                   "\" is no name of a bucket; it takes letters, digits, - and _");
  }
  if (!data_dir_.empty()) {
    if (replicas_ != 1) return Invalid("--to-replicas is for --to-nats-url");
    target.data_dir = data_dir_;
    target.connect_patience = std::chrono::seconds(300);
    auto program = jetstream::FindNatsServer(OrVariable(nats_server_, "JETD_NATS_SERVER"));
    if (!program.ok()) return program.status();
    target.nats_server = *std::move(program);
    return target;
  }
  if (bucket_.empty()) {
    return Invalid(
        "where to? Give --to-bucket, or --to-data-dir, a new folder for a jetd with a "
        "nats-server of its own");
  }
  target.connect_patience = kConnectPatience;
  if (nats_url_.empty()) {
    if (beside == nullptr || beside->nats_urls.empty()) {
      return Invalid(
          "where is the NATS server of --to-bucket? Give --to-nats-url, or --to-data-dir "
          "instead");
    }
    if (beside->bucket == target.bucket) {
      return Invalid("--to-bucket is the bucket that is read; name another one");
    }
    target.nats_urls = beside->nats_urls;
    target.credentials = beside->credentials;
    target.domain = beside->domain;
  } else {
    target.nats_urls = SplitCommas(nats_url_);
    if (absl::Status wrong = CheckNatsUrls("--to-nats-url", target.nats_urls); !wrong.ok()) {
      return wrong;
    }
  }
  const absl::Status nats =
      nats_.Read(NatsFlags::Variables::kNo, &target.credentials, &target.domain);
  if (!nats.ok()) return nats;
  return target;
}

}  // namespace jetd::cli
