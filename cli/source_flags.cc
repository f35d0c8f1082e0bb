// SPDX-License-Identifier: Apache-2.0
#include "cli/source_flags.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "cli/flags.h"
#include "jetstream/nats_files.h"
#include "jetstream/nats_place.h"
#include "jetstream/nats_program.h"
#include "jetstream/stream_setup.h"
#include "replication/key_selection.h"

namespace jetd::cli {
namespace {

using jetstream::NatsCredentials;
using replication::StreamSource;

struct FileFlag {
  const char* name;
  std::string NatsCredentials::*file;
  const char* variable;
  const char* help;
  bool secret;  // a server takes one of them, and nats.c would not say which it shows
};
constexpr FileFlag kFileFlags[] = {
    {"creds", &NatsCredentials::creds_file, "JETD_NATS_CREDS",
     "Credentials file (JWT and seed, or a seed alone)", true},
    {"nkey", &NatsCredentials::nkey_seed_file, "JETD_NATS_NKEY", "File with a user's NKey seed",
     true},
    {"token-file", &NatsCredentials::token_file, "JETD_NATS_TOKEN_FILE", "File with a token", true},
    {"ca-file", &NatsCredentials::tls_ca_file, "JETD_NATS_CA_FILE", "CA of the NATS servers, PEM",
     false},
    {"cert-file", &NatsCredentials::tls_cert_file, "JETD_NATS_CERT_FILE",
     "Client certificate for NATS, PEM", false},
    {"key-file", &NatsCredentials::tls_key_file, "JETD_NATS_KEY_FILE", "Its key, PEM", false},
};

// What a token of a subject to be published to cannot hold.
constexpr char kNoToken[] = " \t\r\n*>";

// A space before it; "" if nothing was typed.
std::string TypedFlag(const std::string& name, const std::string& value) {
  return value.empty() ? "" : Cat(" ", replication::ShellWord(Cat(name, "=", value)));
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
    if (absl::Status wrong = jetstream::CheckNatsUrl(flag, url); !wrong.ok()) return wrong;
  }
  return absl::OkStatus();
}

// ---- NATS ---------------------------------------------------------------------------------------

void NatsFlags::AddTo(CLI::App* app, const std::string& group) {
  for (const FileFlag& flag : kFileFlags) {
    AddText(app, group, begin_ + flag.name, &(credentials_.*flag.file), flag.help);
  }
  AddText(app, group, begin_ + "domain", &domain_, "JetStream domain");
}

absl::Status NatsFlags::Read(Variables variables, NatsCredentials* credentials,
                             std::string* domain) const {
  const auto typed_secret = [this](const FileFlag& flag) {
    return flag.secret && !(credentials_.*flag.file).empty();
  };
  const bool secret_typed = std::any_of(std::begin(kFileFlags), std::end(kFileFlags), typed_secret);
  const auto given = [&](const FileFlag& flag) {
    const bool look = variables == Variables::kYes && !(flag.secret && secret_typed);
    const std::string& typed = credentials_.*flag.file;
    return look ? OrVariable(typed, flag.variable) : typed;
  };
  const char* secret = nullptr;
  for (const FileFlag& flag : kFileFlags) {
    if (!flag.secret || given(flag).empty()) continue;
    if (secret != nullptr) {
      return Invalid(begin_, flag.name, " and ", begin_, secret, " exclude each other");
    }
    secret = flag.name;
  }
  for (const FileFlag& flag : kFileFlags) {
    const std::string file = given(flag);
    if (!file.empty() || (flag.secret && secret != nullptr)) credentials->*flag.file = file;
  }
  if (credentials->tls_cert_file.empty() != credentials->tls_key_file.empty()) {
    return Invalid(begin_, "cert-file and ", begin_, "key-file go together");
  }
  const std::string in =
      variables == Variables::kYes ? OrVariable(domain_, "JETD_NATS_DOMAIN") : domain_;
  if (auto wrong = jetstream::CheckDomain(begin_ + "domain", in); !wrong.ok()) return wrong;
  if (!in.empty()) *domain = in;
  return jetstream::CheckNatsFiles(*credentials);
}

std::string NatsFlags::Typed() const {
  std::string text;
  for (const FileFlag& flag : kFileFlags) {
    CatTo(text, TypedFlag(begin_ + flag.name, credentials_.*flag.file));
  }
  return text + TypedFlag(begin_ + "domain", domain_);
}

// ---- The source ---------------------------------------------------------------------------------

void SourceFlags::AddTo(CLI::App* app, const std::string& in_place) {
  in_place_flag_ = in_place;
  const std::string group = "Where the bucket is";
  const auto add = [&](const char* name, std::string* value, const char* help) {
    AddText(app, group, name, value, help);
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
  nats_.AddTo(app, group);
  add("--nats-api-prefix", &api_prefix_,
      "What subjects of the JetStream API begin with, in the place of a domain");
  add("--stream", &stream_, "Name of a stream that mirrors the bucket, to read that");
}

std::string SourceFlags::Typed() const {
  std::string urls;
  for (const std::string& url : SplitCommas(nats_url_)) {
    CatTo(urls, urls.empty() ? "" : ",", jetstream::UrlWithoutSecrets(url));
  }
  return Cat(TypedFlag("--data-dir", data_dir_), TypedFlag("--nats-url", urls),
             TypedFlag("--bucket", bucket_), TypedFlag("--nats-server", nats_server_),
             nats_.Typed(), TypedFlag("--nats-api-prefix", api_prefix_),
             TypedFlag("--stream", stream_), in_place_ ? " " + in_place_flag_ : "");
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
  if (source.api_prefix.find_first_of(kNoToken) != std::string::npos) {
    return Invalid("--nats-api-prefix: \"", source.api_prefix,
                   "\" is no beginning of subjects, such as $JS.hub.API");
  }
  source.stopped = in_place_ ? StreamSource::Stopped::kInPlace : StreamSource::Stopped::kCopy;
  if (in_place_ && source.data_dir.empty()) return Invalid(in_place_flag_, " is for --data-dir");
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
  source.connect_patience = kConnectPatience;
  const absl::Status nats =
      nats_.Read(NatsFlags::Variables::kYes, &source.credentials, &source.domain);
  if (!nats.ok()) return nats;
  return source;
}

}  // namespace jetd::cli
