// SPDX-License-Identifier: Apache-2.0
#include "cli/target_flags.h"

#include <utility>

#include "base/strings.h"
#include "cli/source_flags.h"
#include "jetstream/nats_files.h"
#include "jetstream/nats_program.h"
#include "jetstream/stream_setup.h"

namespace jetd::cli {
namespace {

using replication::StreamSource;

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

}  // namespace

void TargetFlags::AddTo(CLI::App* app) {
  const std::string group = "The new bucket";
  const auto add = [&](const char* name, std::string* value, const char* help) {
    app->add_option(name, *value, help)->take_last()->group(group);
  };
  add("--to-bucket", &bucket_, "Its name [etcd with --to-data-dir]");
  add("--to-data-dir", &data_dir_,
      "New data folder, for a jetd with a nats-server of its own; none may run on it");
  add("--to-nats-url", &nats_url_, "nats:// or tls:// URLs of its JetStream server");
  add("--to-nats-server", &nats_server_, "Program for --to-data-dir [found in PATH]");
  add("--to-nats-creds", &creds_, "Credentials file (JWT and seed)");
  add("--to-nats-nkey", &nkey_, "File with a user's NKey seed");
  add("--to-nats-token-file", &token_file_, "File with a token");
  add("--to-nats-ca-file", &ca_file_, "CA of the NATS servers, PEM");
  add("--to-nats-cert-file", &cert_file_, "Client certificate for NATS, PEM");
  add("--to-nats-key-file", &key_file_, "Its key, PEM");
  add("--to-nats-domain", &domain_, "JetStream domain");
  app->add_option("--to-replicas", replicas_, "Replicas of its stream [1]")
      ->take_last()
      ->group(group);
}

absl::StatusOr<StreamSource> TargetFlags::Read(const StreamSource* beside) const {
  StreamSource target;
  if (replicas_ < 1 || replicas_ > 5) return Invalid("--to-replicas must be from 1 to 5");
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
  target.connect_patience = std::chrono::seconds(15);
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
  const auto take = [](const std::string& given, std::string* value) {
    if (!given.empty()) *value = given;
  };
  take(domain_, &target.domain);
  if (!creds_.empty() || !nkey_.empty() || !token_file_.empty()) {
    target.credentials.creds_file.clear();
    target.credentials.nkey_seed_file.clear();
    target.credentials.token_file.clear();
  }
  take(creds_, &target.credentials.creds_file);
  take(nkey_, &target.credentials.nkey_seed_file);
  take(token_file_, &target.credentials.token_file);
  if (absl::Status ways = CheckOneSecret("--to-nats-", target.credentials); !ways.ok()) return ways;
  take(ca_file_, &target.credentials.tls_ca_file);
  take(cert_file_, &target.credentials.tls_cert_file);
  take(key_file_, &target.credentials.tls_key_file);
  if (target.credentials.tls_cert_file.empty() != target.credentials.tls_key_file.empty()) {
    return Invalid("--to-nats-cert-file and --to-nats-key-file go together");
  }
  if (absl::Status files = jetstream::CheckNatsFiles(target.credentials); !files.ok()) return files;
  return target;
}

}  // namespace jetd::cli
