// SPDX-License-Identifier: Apache-2.0
#include "cli/check_command.h"

#include <algorithm>
#include <utility>

#include "base/strings.h"

namespace jetd::cli {
namespace {

using replication::BucketCheck;
using replication::CheckReport;

constexpr char kExamples[] =
    "What is checked: that terms and transactions are whole and in order, no revision is missing\n"
    "above the compact revision, each version follows from the one before it, leases are there,\n"
    "and that a start of jetd would build just that store. Nothing is changed. Garbage that waits\n"
    "for its removal is counted and is no damage.\n"
    "\n"
    "Examples:\n"
    "  jetctl check --data-dir /var/lib/jetd\n"
    "      a jetd with a nats-server of its own; if it is stopped, a copy of its store\n"
    "  jetctl check --data-dir /var/lib/jetd --endpoint http://127.0.0.1:2379\n"
    "      and whether what the running jetd has in memory is what its stream says\n"
    "  jetctl check --nats-url nats://n1:4222 --nats-creds tenant.creds --bucket tenant -o json\n"
    "      a bucket on a NATS server, as one JSON object";

}  // namespace

void CheckCommand::AddFlags(CLI::App* app) {
  app->footer(kExamples);
  source_.AddTo(app);
  const std::string group = "A jetd that runs";
  const auto add = [&](const char* name, std::string* value, const char* help) {
    app->add_option(name, *value, help)->take_last()->group(group);
  };
  add("--endpoint", &endpoint_, "Its client URL, to compare HashKV with");
  add("--cacert", &ca_file_, "CA of its certificate, PEM");
  add("--cert", &cert_file_, "Client certificate for it, PEM");
  add("--key", &key_file_, "Its key, PEM");
  output_.AddTo(app);
}

absl::StatusOr<std::unique_ptr<etcdclient::Client>> CheckCommand::Dial() const {
  auto client = etcdclient::Client::Connect(
      {.endpoint = endpoint_, .ca_file = ca_file_, .cert_file = cert_file_, .key_file = key_file_});
  if (client.ok()) return client;
  return MakeStatus(client.status().code(), "--endpoint: ", MessageOf(client.status()));
}

absl::Status CheckCommand::CompareWithServer(BucketCheck* check) const {
  const auto client = Dial();
  if (!client.ok()) return client.status();
  CheckReport& report = check->report();
  etcdclient::pb::HashKVRequest request;
  request.set_revision(report.revision.value());
  const auto theirs = (*client)->Call(request);
  if (!theirs.ok()) {
    return MakeStatus(absl::StatusCode::kUnavailable, "HashKV of ", endpoint_, ": ",
                      MessageOf(theirs.status()));
  }
  const Revision compacted(std::max<int64_t>(0, theirs->compact_revision()));
  const auto ours = check->HashAt(report.revision, compacted);
  if (!ours.ok()) {
    return MakeStatus(absl::StatusCode::kUnavailable, "HashKV of the stream as ", endpoint_,
                      " has it: ", MessageOf(ours.status()));
  }
  if (*ours == theirs->hash()) {
    report.compared.push_back(Cat("HashKV of ", endpoint_, " at revision ", report.revision.value(),
                                  ", compacted ", compacted.value()));
  } else {
    report.Add({.damage = replication::Damage::kHash,
                .revision = report.revision,
                .what = Cat(endpoint_, " answers HashKV ", theirs->hash(), ", the stream gives ",
                            *ours, " (both compacted at ", compacted.value(), ")")});
  }
  return absl::OkStatus();
}

absl::StatusOr<int> CheckCommand::Run(Output* output) {
  const auto form = output_.Read();
  if (!form.ok()) return form.status();
  auto source = source_.Read();
  if (!source.ok()) return source.status();
  if (endpoint_.empty() && !(ca_file_.empty() && cert_file_.empty() && key_file_.empty())) {
    return absl::InvalidArgumentError("--cacert, --cert and --key are for --endpoint; give it");
  }
  if (!endpoint_.empty()) {
    // That is seen here and not after an hour of reading; it does not wait for the server.
    if (const auto client = Dial(); !client.ok()) return client.status();
  }
  BucketCheck::Options options;
  options.source = *std::move(source);
  options.source.patience = std::chrono::seconds(0);  // as long as it takes
  options.source.interrupted = output->interrupted();
  options.progress = [output](uint64_t records, uint64_t of) {
    output->Progress(Cat("checked ", records, " of ", std::max(records, of), " records"));
  };
  output->Progress("opening the store");
  auto check = BucketCheck::Run(options);
  if (!check.ok()) return check.status();
  if (!endpoint_.empty() && (*check)->report().replayed) {
    if (absl::Status status = CompareWithServer(check->get()); !status.ok()) return status;
  }
  const CheckReport& report = (*check)->report();
  if (*form == OutputForm::kJson) {
    output->Print(Cat(ToJson(report), "\n"));
  } else {
    output->PrintVerdict(Cat("checked bucket ", options.source.bucket, " of ", (*check)->name(),
                             "\n", ToText(report)),
                         "no damage", "DAMAGE");
  }
  return report.damages() == 0 ? kExitOk : kExitDamaged;
}

}  // namespace jetd::cli
