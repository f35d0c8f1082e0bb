// SPDX-License-Identifier: Apache-2.0
// Prints a bucket's stream as the ordered list of its transactions. Exit code 0: all of it; 1: it
// could not be read, or breaks a rule that it must never break; 2: the command line is wrong.
#include <cstdio>
#include <cstdlib>
#include <string>

#include "CLI/CLI.hpp"
#include "base/log.h"
#include "base/strings.h"
#include "replication/stream_dump.h"
#include "replication/transaction_text.h"

namespace jetd::replication {
namespace {

int Main(int argc, char** argv) {
  StreamSource source;
  bool json = false, values = false, keys_only = false, all = false;
  if (const char* program = std::getenv("JETD_NATS_SERVER"); program != nullptr) {
    source.nats_server = program;
  }
  CLI::App app(
      "Prints the stream of a bucket (KV_<bucket>) as the ordered list of its transactions, one a\n"
      "line: revision, term, time, and what was put or deleted.",
      "jetd-transactions");
  app.add_option("--data-dir", source.data_dir,
                 "of a jetd that does not run; a nats-server is started there meanwhile");
  app.add_option("--nats-server", source.nats_server,
                 "the program for that (default: $JETD_NATS_SERVER)");
  app.add_option("--nats-url", source.nats_urls, "of a nats-server that runs")->delimiter(',');
  app.add_option("--nats-creds", source.credentials.creds_file, "credentials file");
  app.add_option("--bucket", source.bucket, "name of the bucket")->capture_default_str();
  app.add_flag("--json", json, "one JSON object a line");
  app.add_flag("--values", values, "show values, not only their size");
  app.add_flag("--keys-only", keys_only, "leave out leases, terms, compactions and barriers");
  app.add_flag("--void", all, "show what does not count too, marked as void");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (source.data_dir.empty() == source.nats_urls.empty()) {
    std::fputs("jetd-transactions: give either --data-dir or --nats-url\n", stderr);
    return 2;
  }
  if (!source.data_dir.empty() && source.nats_server.empty()) {
    std::fputs("jetd-transactions: --data-dir needs --nats-server or $JETD_NATS_SERVER\n", stderr);
    return 2;
  }
  log::Init({.level = log::Level::kError});
  const ShowValues show = values ? ShowValues::kYes : ShowValues::kNo;
  const auto result = DumpStream(source, [&](const StreamTransaction& transaction) {
    if (!transaction.counts && !all) return;
    const StreamTransaction::Kind kind = transaction.ops.front().kind;
    const bool of_keys =
        kind == StreamTransaction::Kind::kPut || kind == StreamTransaction::Kind::kDelete;
    if (keys_only && !of_keys) return;
    const std::string line = json ? ToJson(transaction, show) : ToText(transaction, show);
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fputc('\n', stdout);
  });
  if (!result.ok()) {
    std::fprintf(stderr, "jetd-transactions: %s\n",
                 std::string(MessageOf(result.status())).c_str());
    return 1;
  }
  const std::string end =
      Cat("read up to sequence ", result->last.value(), ": revision ", result->revision.value(),
          ", compacted ", result->compacted.value(), ", term ", result->term.value(), "\n");
  std::fputs(end.c_str(), stderr);
  return 0;
}

}  // namespace
}  // namespace jetd::replication

int main(int argc, char** argv) {
  try {
    return jetd::replication::Main(argc, argv);
  } catch (...) {  // of CLI11 or the standard library: nothing of this tree throws
    std::fputs("an exception that nobody caught\n", stderr);
    return 1;
  }
}
