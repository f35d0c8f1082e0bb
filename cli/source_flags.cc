// SPDX-License-Identifier: Apache-2.0
#include "cli/source_flags.h"

#include <algorithm>
#include <cstdlib>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "jetstream/nats_files.h"
#include "jetstream/nats_program.h"
#include "jetstream/stream_setup.h"
#include "replication/key_selection.h"

namespace jetd::cli {
namespace {

using replication::StreamSource;

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

}  // namespace

std::string OrVariable(const std::string& given, const char* variable) {
  if (!given.empty()) return given;
  const char* value = std::getenv(variable);
  return value != nullptr ? value : "";
}

std::vector<std::string> SplitCommas(const std::string& text) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

absl::Status CheckNatsUrls(const char* flag, const std::vector<std::string>& urls) {
  for (const std::string& url : urls) {
    if (!url.starts_with("nats://") && !url.starts_with("tls://")) {
      // Not shown: it may hold a password.
      return Invalid(flag, ": every URL must start with nats:// or tls://");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckOneSecret(std::string_view flags, const jetstream::NatsCredentials& credentials) {
  const char* first = nullptr;
  for (const auto& [flag, file] :
       {std::pair("creds", &credentials.creds_file), std::pair("nkey", &credentials.nkey_seed_file),
        std::pair("token-file", &credentials.token_file)}) {
    if (file->empty()) continue;
    if (first != nullptr) return Invalid(flags, flag, " and ", flags, first, " exclude each other");
    first = flag;
  }
  return absl::OkStatus();
}

void SourceFlags::AddTo(CLI::App* app, const std::string& in_place) {
  in_place_flag_ = in_place;
  const std::string group = "Where the bucket is";
  const auto add = [&](const char* name, std::string* value, const char* help) {
    app->add_option(name, *value, help)->take_last()->group(group);
  };
  add("--data-dir", &data_dir_,
      "Folder of a jetd with a nats-server of its own, running or stopped");
  add("--nats-url", &nats_url_,
      "nats:// or tls:// URLs of the JetStream server of other jetds, comma-separated");
  add("--bucket", &bucket_, "KV bucket [etcd]");
  app->add_flag(in_place, in_place_,
                "Start the nats-server of a stopped jetd on its folder itself, which it may mend "
                "on the way, and not on a copy")
      ->group(group);
  add("--nats-server", &nats_server_, "Program for a stopped jetd [found in PATH]");
  add("--nats-creds", &creds_, "Credentials file (JWT and seed)");
  add("--nats-nkey", &nkey_, "File with a user's NKey seed");
  add("--nats-token-file", &token_file_, "File with a token");
  add("--nats-ca-file", &ca_file_, "CA of the NATS servers, PEM");
  add("--nats-cert-file", &cert_file_, "Client certificate for NATS, PEM");
  add("--nats-key-file", &key_file_, "Its key, PEM");
  add("--nats-domain", &domain_, "JetStream domain");
  add("--nats-api-prefix", &api_prefix_,
      "What subjects of the JetStream API begin with, in the place of a domain");
  add("--stream", &stream_, "Name of a stream that mirrors the bucket, to read that");
}

std::string SourceFlags::Typed() const {
  std::string text;
  const auto add = [&text](const char* name, const std::string& value) {
    if (!value.empty()) CatTo(text, " ", replication::ShellWord(Cat(name, "=", value)));
  };
  add("--data-dir", data_dir_);
  std::string urls;
  for (const std::string& url : SplitCommas(nats_url_)) {
    CatTo(urls, urls.empty() ? "" : ",", jetstream::UrlWithoutSecrets(url));
  }
  add("--nats-url", urls);
  add("--bucket", bucket_);
  add("--nats-server", nats_server_);
  add("--nats-creds", creds_);
  add("--nats-nkey", nkey_);
  add("--nats-token-file", token_file_);
  add("--nats-ca-file", ca_file_);
  add("--nats-cert-file", cert_file_);
  add("--nats-key-file", key_file_);
  add("--nats-domain", domain_);
  add("--nats-api-prefix", api_prefix_);
  add("--stream", stream_);
  if (in_place_) CatTo(text, " ", in_place_flag_);
  return text;
}

absl::StatusOr<StreamSource> SourceFlags::Read() const {
  StreamSource source;
  source.data_dir = data_dir_;
  std::string urls = nats_url_;
  // What is typed counts for more than a variable that was set for a jetd.
  if (data_dir_.empty() && nats_url_.empty()) {
    urls = OrVariable("", "JETD_NATS_URL");
    if (urls.empty()) source.data_dir = OrVariable("", "JETD_DATA_DIR");
  }
  source.nats_urls = SplitCommas(urls);
  if (source.data_dir.empty() && source.nats_urls.empty()) {
    return Invalid(
        "where is the bucket? Give --data-dir, the folder of a jetd with a nats-server "
        "of its own, or --nats-url");
  }
  if (!source.data_dir.empty() && !source.nats_urls.empty()) {
    return Invalid("--data-dir and --nats-url are two places; give one of them");
  }
  if (absl::Status wrong = CheckNatsUrls("--nats-url", source.nats_urls); !wrong.ok()) return wrong;
  const std::string bucket = OrVariable(bucket_, "JETD_BUCKET");
  if (!bucket.empty()) source.bucket = bucket;
  if (!jetstream::IsBucketName(source.bucket)) {
    return Invalid("--bucket: \"", source.bucket,
                   "\" is no name of a bucket; it takes letters, digits, - and _");
  }
  source.stream = OrVariable(stream_, "JETD_STREAM");
  if (!source.stream.empty() && !jetstream::IsBucketName(source.stream)) {
    return Invalid("--stream: \"", source.stream,
                   "\" is no name of a stream; it takes letters, digits, - and _");
  }
  source.api_prefix = OrVariable(api_prefix_, "JETD_NATS_API_PREFIX");
  if (!source.api_prefix.empty() && !source.api_prefix.ends_with('.')) source.api_prefix += '.';
  source.stopped = in_place_ ? StreamSource::Stopped::kInPlace : StreamSource::Stopped::kCopy;
  if (!source.data_dir.empty()) {
    // A large store takes a while to open.
    source.connect_patience = std::chrono::seconds(300);
    const std::string given = OrVariable(nats_server_, "JETD_NATS_SERVER");
    auto program = jetstream::FindNatsServer(given);
    // A jetd that runs needs none.
    if (program.ok()) source.nats_server = *std::move(program);
    if (!given.empty() && !program.ok()) return program.status();
    return source;
  }
  source.connect_patience = std::chrono::seconds(15);
  source.domain = OrVariable(domain_, "JETD_NATS_DOMAIN");
  jetstream::NatsCredentials& credentials = source.credentials;
  credentials.creds_file = OrVariable(creds_, "JETD_NATS_CREDS");
  credentials.nkey_seed_file = OrVariable(nkey_, "JETD_NATS_NKEY");
  credentials.token_file = OrVariable(token_file_, "JETD_NATS_TOKEN_FILE");
  credentials.tls_ca_file = OrVariable(ca_file_, "JETD_NATS_CA_FILE");
  credentials.tls_cert_file = OrVariable(cert_file_, "JETD_NATS_CERT_FILE");
  credentials.tls_key_file = OrVariable(key_file_, "JETD_NATS_KEY_FILE");
  if (absl::Status ways = CheckOneSecret("--nats-", credentials); !ways.ok()) return ways;
  if (credentials.tls_cert_file.empty() != credentials.tls_key_file.empty()) {
    return Invalid("--nats-cert-file and --nats-key-file go together");
  }
  if (absl::Status files = jetstream::CheckNatsFiles(credentials); !files.ok()) return files;
  return source;
}

}  // namespace jetd::cli
