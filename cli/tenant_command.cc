// SPDX-License-Identifier: Apache-2.0
#include "cli/tenant_command.h"

#include <charconv>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "cli/flags.h"
#include "cli/source_flags.h"
#include "cli/storage_size.h"
#include "cli/table.h"
#include "jetstream/nats_files.h"
#include "jetstream/nats_program.h"
#include "jetstream/stream_setup.h"
#include "nlohmann/json.hpp"

namespace jetd::cli {
namespace {

using nlohmann::json;
using tenant::Change;
using tenant::ServerKind;
using tenant::Tenant;
using tenant::TenantAdmin;

constexpr char kExamples[] =
    "What is kept lies in --state-dir: the list of tenants, their credentials, and a file that\n"
    "nats-server includes: tenants.conf for a static configuration, operator.conf for operator "
    "mode.\n"
    "\n"
    "Examples:\n"
    "  jetctl tenant init --state-dir /etc/nats/jetd\n"
    "  jetctl tenant add acme --state-dir /etc/nats/jetd --storage 8GiB --pid-file /run/nats.pid\n"
    "  jetctl tenant init --state-dir /etc/nats/jetd --kind operator --nats-url nats://n1:4222 \\\n"
    "      --resolver-dir /var/lib/nats/jwt\n"
    "  jetctl tenant rotate acme --state-dir /etc/nats/jetd";

constexpr const char* kDefaultStorage = "8GiB";
constexpr int64_t kDefaultStreams = 1;
// Some for each member and each reader; those of one that was killed stay for a minute.
constexpr int64_t kDefaultConsumers = 100;
constexpr int64_t kMaxCount = 1'000'000;

absl::StatusOr<int64_t> ParseCount(const char* flag, const std::string& text) {
  int64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < 1 || number > kMaxCount) {
    return Invalid(flag, ": \"", text, "\" is no number from 1 to ", kMaxCount);
  }
  return number;
}

// What of the three was typed.
absl::StatusOr<TenantAdmin::LimitChange> ParseLimits(const std::string& storage,
                                                     const std::string& streams,
                                                     const std::string& consumers) {
  TenantAdmin::LimitChange change;
  const auto take = [](absl::StatusOr<int64_t> parsed, std::optional<int64_t>* into) {
    if (parsed.ok()) *into = *parsed;
    return parsed.status();
  };
  absl::Status status;
  if (!storage.empty()) status.Update(take(ParseSize("--storage", storage), &change.storage_bytes));
  if (!streams.empty()) status.Update(take(ParseCount("--streams", streams), &change.streams));
  if (!consumers.empty()) {
    status.Update(take(ParseCount("--consumers", consumers), &change.consumers));
  }
  if (!status.ok()) return status;
  return change;
}

Table TableOf(const std::vector<std::vector<std::string>>& rows) {
  Table table(rows.front());
  for (size_t i = 1; i < rows.size(); ++i) table.Add(rows[i]);
  return table;
}

// What was begun and has to be ended; empty: nothing.
std::string BegunOf(const Tenant& tenant) {
  if (tenant.going)
    return Cat("being removed: `jetctl tenant remove ", tenant.name, " --yes` ends");
  if (tenant.next_user.empty()) return std::string();
  return Cat("new credentials: `jetctl tenant rotate ", tenant.name, "` ends");
}

json JsonOf(const TenantAdmin& admin, const Tenant& tenant) {
  json object = {{"tenant", tenant.name},
                 {"bucket", tenant.bucket},
                 {"user", tenant.user},
                 {"storage_limit_bytes", tenant.limits.storage_bytes},
                 {"streams_limit", tenant.limits.streams},
                 {"consumers_limit", tenant.limits.consumers},
                 {"credentials_file", admin.CredentialsFile(tenant)}};
  if (!tenant.account.empty()) object["account"] = tenant.account;
  if (const std::string begun = BegunOf(tenant); !begun.empty()) object["begun"] = begun;
  return object;
}

std::string JetdFlags(const TenantAdmin& admin, const Tenant& tenant) {
  const std::string url =
      admin.nats_urls().empty() ? std::string("nats://HOST:4222") : admin.nats_urls();
  return Cat("--nats-url ", url,
             admin.roster().kind == ServerKind::kStatic ? " --nats-nkey " : " --nats-creds ",
             admin.CredentialsFile(tenant), " --bucket ", tenant.bucket);
}

std::vector<std::vector<std::string>> RowsOf(const TenantAdmin& admin, const Tenant& tenant) {
  std::vector<std::vector<std::string>> rows = {
      {"tenant", tenant.name},
      {"bucket", tenant.bucket},
      {"storage limit", SizeText(tenant.limits.storage_bytes)},
      {"streams limit", Cat(tenant.limits.streams)},
      {"consumers limit", Cat(tenant.limits.consumers)},
      {"user", tenant.user}};
  if (!tenant.account.empty()) rows.push_back({"account", tenant.account});
  rows.push_back({"credentials", admin.CredentialsFile(tenant)});
  rows.push_back({"flags of jetd", JetdFlags(admin, tenant)});
  if (const std::string begun = BegunOf(tenant); !begun.empty()) rows.push_back({"begun", begun});
  return rows;
}

// What the server says that the tenant uses, for people; into the object too.
std::string AddUse(const TenantAdmin& admin, const Tenant& tenant, json* object) {
  const auto use = admin.Ask(tenant);
  if (!use.ok()) {
    (*object)["unseen"] = MessageOf(use.status());
    return Cat("not seen: ", MessageOf(use.status()));
  }
  (*object)["storage_bytes"] = use->storage_bytes;
  (*object)["streams"] = use->streams;
  (*object)["consumers"] = use->consumers;
  return Cat(use->storage_bytes, " bytes, ", use->streams, " streams, ", use->consumers,
             " consumers");
}

tenant::TellFn TellOn(Output* output) {
  return [output](const std::string& line) { output->Say("tenant", line); };
}

std::string Absolute(const std::string& path) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(path, error);
  std::string text = error ? path : absolute.lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace

const TenantCommand::Verb TenantCommand::kVerbs[] = {
    {"init", "Begins a folder of tenants", &TenantCommand::Init},
    {"add", "Makes a tenant: account, user, credentials", &TenantCommand::Add},
    {"list", "Lists the tenants", &TenantCommand::List},
    {"show", "Shows a tenant, and what it uses", &TenantCommand::ShowOne},
    {"limit", "Changes a tenant's limits, of a server that runs too", &TenantCommand::Limit},
    {"rotate", "Gives new credentials, and revokes the old ones", &TenantCommand::Rotate},
    {"remove", "Takes a tenant's account away", &TenantCommand::Remove},
};

void TenantCommand::AddServerFlags(CLI::App* verb) {
  const std::string group = "The nats-server";
  const auto add = [&](const char* flag, std::string* value, const char* help) {
    verb->add_option(flag, *value, help)->take_last()->group(group);
  };
  add("--nats-url", &nats_url_,
      "Where it runs, nats:// or tls://, to see whether it does as told; of a cluster one, or all, "
      "comma-separated");
  add("--nats-ca-file", &ca_file_, "CA of its certificate, PEM");
  add("--nats-cert-file", &cert_file_, "Client certificate for it, PEM");
  add("--nats-key-file", &key_file_, "Its key, PEM");
  add("--nats-server", &nats_server_, "Program that checks a static configuration first");
  add("--pid-file", &pid_file_, "nats-server's, to tell it to read a static configuration again");
}

void TenantCommand::AddLimitFlags(CLI::App* verb, const char* storage_default) {
  const auto add = [&](const char* flag, std::string* value, const std::string& help) {
    verb->add_option(flag, *value, help)->take_last()->group("Limits");
  };
  const bool fresh = *storage_default != '\0';
  const auto with = [fresh](const char* help, const std::string& otherwise) {
    return fresh ? Cat(help, " [", otherwise, "]") : std::string(help);
  };
  add("--storage", &storage_, with("Of all its records together, as 8GiB", storage_default));
  add("--streams", &streams_, with("How many streams", Cat(kDefaultStreams)));
  add("--consumers", &consumers_, with("How many consumers at a time", Cat(kDefaultConsumers)));
}

void TenantCommand::AddFlags(CLI::App* app) {
  app_ = app;
  app->footer(kExamples);
  for (const Verb& verb : kVerbs) {
    CLI::App* const sub = app->add_subcommand(verb.name, verb.summary);
    sub->footer("");
    const std::string_view name = verb.name;
    const auto add = [&](const char* flag, std::string* value, const char* help) {
      sub->add_option(flag, *value, help)->take_last();
    };
    const bool of_one = name != "init" && name != "list";
    if (of_one) sub->add_option("NAME", name_, "The tenant, which is its account's name too");
    add("--state-dir", &state_dir_, "Folder in which the tenants of one nats-server are kept");
    if (name == "init") {
      add("--kind", &kind_, "static or operator: how the nats-server knows accounts [static]");
      add("--nats-url", &nats_url_, "Where it runs, for all commands that follow");
      add("--operator-name", &operator_name_, "Name of the operator that is made [jetd]");
      add("--resolver-dir", &resolver_dir_, "Where that nats-server keeps the accounts' JWTs");
      add("--operator-seed", &operator_seed_,
          "File with the seed of an operator, or a signing key of it, that is there already");
      add("--system-creds", &system_creds_, "Credentials of a user of its system account");
      continue;
    }
    output_.AddTo(sub);
    if (name == "add") {
      add("--bucket", &bucket_, "Its KV bucket [NAME]");
      AddLimitFlags(sub, kDefaultStorage);
      add("--nats-config", &nats_config_,
          "nats-server's configuration: a static one that has the name already refuses it");
    }
    if (name == "limit") AddLimitFlags(sub, "");
    if (name == "remove") sub->add_flag("--yes", yes_, "Really");
    if (name == "list") sub->add_flag("--use", use_, "Ask the nats-server what each uses");
    AddServerFlags(sub);
  }
}

absl::StatusOr<int> TenantCommand::Run(Output* output) {
  const Verb* const verb = ChosenVerb(*app_, kVerbs);
  if (verb == nullptr) {
    return Invalid(
        "name what to do: init, add, list, show, limit, rotate or remove; see jetctl "
        "tenant --help");
  }
  const auto form = output_.Read();
  if (!form.ok()) return form.status();
  json_ = *form == OutputForm::kJson;
  return (this->*verb->run)(output);
}

absl::StatusOr<std::string> TenantCommand::StateDir() const {
  const std::string folder = OrVariable(state_dir_, "JETD_STATE_DIR");
  if (folder.empty()) {
    return Invalid(
        "where are the tenants kept? Give --state-dir, a folder for the tenants of one "
        "nats-server");
  }
  return Absolute(folder);
}

absl::StatusOr<std::unique_ptr<TenantAdmin>> TenantCommand::Open(Output* output) const {
  auto folder = StateDir();
  if (!folder.ok()) return folder.status();
  tenant::AdminOptions options;
  options.folder = *folder;
  const std::vector<std::string> urls = SplitCommas(OrVariable(nats_url_, "JETD_NATS_URL"));
  if (absl::Status wrong = CheckNatsUrls("--nats-url", urls); !wrong.ok()) return wrong;
  if (!urls.empty()) {
    options.server.url = urls.front();
    options.other_servers.assign(urls.begin() + 1, urls.end());
  }
  jetstream::NatsCredentials& credentials = options.server.credentials;
  credentials.tls_ca_file = OrVariable(ca_file_, "JETD_NATS_CA_FILE");
  credentials.tls_cert_file = OrVariable(cert_file_, "JETD_NATS_CERT_FILE");
  credentials.tls_key_file = OrVariable(key_file_, "JETD_NATS_KEY_FILE");
  if (credentials.tls_cert_file.empty() != credentials.tls_key_file.empty()) {
    return Invalid("--nats-cert-file and --nats-key-file go together");
  }
  if (absl::Status files = jetstream::CheckNatsFiles(credentials); !files.ok()) return files;
  const std::string program = OrVariable(nats_server_, "JETD_NATS_SERVER");
  if (!program.empty()) {
    auto found = jetstream::FindNatsServer(program);
    if (!found.ok()) return found.status();
    options.nats_server = *std::move(found);
  }
  options.pid_file = OrVariable(pid_file_, "JETD_PID_FILE");
  options.nats_config = OrVariable(nats_config_, "JETD_NATS_CONFIG");
  options.tell = TellOn(output);
  auto admin = TenantAdmin::Open(std::move(options));
  const bool typed = !nats_server_.empty() || !pid_file_.empty() || !nats_config_.empty();
  if (admin.ok() && typed && (*admin)->roster().kind == ServerKind::kOperator) {
    return Invalid("--nats-server, --pid-file and --nats-config are for a static configuration; ",
                   "the tenants in ", *folder, " are an operator's");
  }
  return admin;
}

absl::Status TenantCommand::CheckName() const {
  const std::string verb = app_->get_subcommands().front()->get_name();
  if (name_.empty()) return Invalid("name the tenant: jetctl tenant ", verb, " NAME");
  if (!tenant::IsTenantName(name_)) {
    return Invalid("\"", name_, "\" is no name of a tenant; it takes up to 64 letters, digits, - ",
                   "and _, and begins with a letter or digit");
  }
  return absl::OkStatus();
}

void TenantCommand::Show(const TenantAdmin& admin, const Change& change, const char* done,
                         Output* output) const {
  if (json_) {
    json object = JsonOf(admin, change.tenant);
    object["changed"] = change.changed;
    object["finished"] = change.finished;
    if (!change.next.empty()) object["next"] = change.next;
    output->Print(Cat(object.dump(2), "\n"));
    return;
  }
  auto rows = RowsOf(admin, change.tenant);
  if (!change.next.empty()) rows.push_back({"to do", change.next});
  output->Print(Cat("tenant ", change.tenant.name, ": ",
                    change.changed ? done : "nothing to change",
                    change.finished ? "\n\n" : ", begun\n\n", TableOf(rows).ToText()));
}

absl::StatusOr<int> TenantCommand::Init(Output* output) {
  auto dir = StateDir();
  if (!dir.ok()) return dir.status();
  tenant::NewFolder folder{.folder = *dir, .nats_url = OrVariable(nats_url_, "JETD_NATS_URL")};
  if (auto wrong = CheckNatsUrls("--nats-url", SplitCommas(folder.nats_url)); !wrong.ok()) {
    return wrong;
  }
  if (kind_ == "operator") {
    folder.kind = ServerKind::kOperator;
  } else if (!kind_.empty() && kind_ != "static") {
    return Invalid("--kind: \"", kind_, "\" is neither static nor operator");
  }
  if (folder.kind == ServerKind::kStatic && !(operator_name_.empty() && operator_seed_.empty() &&
                                              system_creds_.empty() && resolver_dir_.empty())) {
    return Invalid(
        "--operator-name, --operator-seed, --system-creds and --resolver-dir are for "
        "--kind operator; give it");
  }
  if (operator_seed_.empty() != system_creds_.empty()) {
    return Invalid("--operator-seed and --system-creds go together");
  }
  const bool fresh = operator_seed_.empty();
  if (folder.kind == ServerKind::kOperator && fresh && resolver_dir_.empty()) {
    return Invalid(
        "give --resolver-dir, a folder that nats-server may write to, for the accounts' "
        "JWTs; or --operator-seed and --system-creds of an operator that is there");
  }
  if (!fresh && !(operator_name_.empty() && resolver_dir_.empty())) {
    return Invalid("--operator-name and --resolver-dir are for an operator that is made");
  }
  folder.operator_seed_file = operator_seed_;
  folder.system_creds_file = system_creds_;
  if (!operator_name_.empty()) folder.operator_name = operator_name_;
  if (!resolver_dir_.empty()) folder.resolver_dir = Absolute(resolver_dir_);
  folder.tell = TellOn(output);
  if (absl::Status begun = tenant::BeginFolder(folder); !begun.ok()) return begun;
  std::string text = Cat("tenants are kept in ", *dir, "\n");
  if (folder.kind == ServerKind::kStatic) {
    CatTo(text, "to do: in nats-server's configuration, by a path that is relative to it:\n\n",
          "accounts {\n  include \"", std::filesystem::path(*dir).filename().string(),
          "/tenants.conf\"\n}\n");
  } else if (fresh) {
    CatTo(text, "to do: at the top of nats-server's configuration, by a path that is relative to ",
          "it, then start it anew:\n\ninclude \"", std::filesystem::path(*dir).filename().string(),
          "/operator.conf\"\n");
  }
  output->Print(text);
  return kExitOk;
}

absl::StatusOr<int> TenantCommand::Add(Output* output) {
  if (absl::Status named = CheckName(); !named.ok()) return named;
  const auto limits =
      ParseLimits(storage_.empty() ? kDefaultStorage : storage_, streams_, consumers_);
  if (!limits.ok()) return limits.status();
  const Tenant wanted{.name = name_,
                      .bucket = bucket_.empty() ? name_ : bucket_,
                      .limits = {.storage_bytes = *limits->storage_bytes,
                                 .streams = limits->streams.value_or(kDefaultStreams),
                                 .consumers = limits->consumers.value_or(kDefaultConsumers)}};
  if (!jetstream::IsBucketName(wanted.bucket) || wanted.bucket.size() > tenant::kMaxNameBytes) {
    return Invalid("--bucket: \"", bucket_, "\" is no name of a tenant's bucket; it takes up to ",
                   tenant::kMaxNameBytes, " letters, digits, - and _");
  }
  auto admin = Open(output);
  if (!admin.ok()) return admin.status();
  const auto change = (*admin)->Add(wanted);
  if (!change.ok()) return change.status();
  Show(**admin, *change, "added", output);
  return kExitOk;
}

absl::StatusOr<int> TenantCommand::List(Output* output) {
  auto admin = Open(output);
  if (!admin.ok()) return admin.status();
  json objects = json::array();
  std::vector<std::vector<std::string>> rows = {
      {"TENANT", "BUCKET", "STORAGE", "STREAMS", "CONSUMERS", "CREDENTIALS"}};
  if (use_) rows.front().push_back("IN USE");
  for (const auto& [name, tenant] : (*admin)->roster().tenants) {
    objects.push_back(JsonOf(**admin, tenant));
    rows.push_back({tenant.going ? Cat(name, " (being removed)") : name, tenant.bucket,
                    SizeText(tenant.limits.storage_bytes), Cat(tenant.limits.streams),
                    Cat(tenant.limits.consumers), (*admin)->CredentialsFile(tenant)});
    if (use_) rows.back().push_back(AddUse(**admin, tenant, &objects.back()));
  }
  json_ ? output->Print(Cat(objects.dump(2), "\n")) : output->Print(TableOf(rows));
  return kExitOk;
}

absl::StatusOr<int> TenantCommand::ShowOne(Output* output) {
  if (absl::Status named = CheckName(); !named.ok()) return named;
  auto admin = Open(output);
  if (!admin.ok()) return admin.status();
  const auto tenant = (*admin)->Find(name_);
  if (!tenant.ok()) return tenant.status();
  json object = JsonOf(**admin, *tenant);
  auto rows = RowsOf(**admin, *tenant);
  if (!(*admin)->nats_urls().empty()) {
    rows.push_back({"in use", AddUse(**admin, *tenant, &object)});
  }
  output->Print(json_ ? Cat(object.dump(2), "\n") : TableOf(rows).ToText());
  return kExitOk;
}

absl::StatusOr<int> TenantCommand::Limit(Output* output) {
  if (absl::Status named = CheckName(); !named.ok()) return named;
  const auto limits = ParseLimits(storage_, streams_, consumers_);
  if (!limits.ok()) return limits.status();
  if (storage_.empty() && streams_.empty() && consumers_.empty()) {
    return Invalid("name a limit: --storage, --streams or --consumers");
  }
  auto admin = Open(output);
  if (!admin.ok()) return admin.status();
  const auto change = (*admin)->Limit(name_, *limits);
  if (!change.ok()) return change.status();
  Show(**admin, *change, "limits changed", output);
  return kExitOk;
}

absl::StatusOr<int> TenantCommand::Rotate(Output* output) {
  if (absl::Status named = CheckName(); !named.ok()) return named;
  auto admin = Open(output);
  if (!admin.ok()) return admin.status();
  const auto change = (*admin)->Rotate(name_);
  if (!change.ok()) return change.status();
  Show(**admin, *change, "new credentials", output);
  return kExitOk;
}

absl::StatusOr<int> TenantCommand::Remove(Output* output) {
  if (absl::Status named = CheckName(); !named.ok()) return named;
  if (!yes_) {
    return Invalid("this ends the jetd of tenant ", name_, " and removes its credentials (its ",
                   "records stay, out of reach); if that is meant, add --yes");
  }
  auto admin = Open(output);
  if (!admin.ok()) return admin.status();
  const auto change = (*admin)->Remove(name_);
  if (!change.ok()) return change.status();
  if (json_) {
    json object = {{"tenant", name_}, {"removed", change->finished}};
    if (!change->next.empty()) object["next"] = change->next;
    output->Print(Cat(object.dump(2), "\n"));
  } else {
    output->Print(Cat("tenant ", name_, change->finished ? ": removed\n" : ": removal begun\n",
                      change->next.empty() ? "" : Cat("to do: ", change->next, "\n")));
  }
  return kExitOk;
}

}  // namespace jetd::cli
