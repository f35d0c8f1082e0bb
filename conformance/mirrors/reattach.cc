// SPDX-License-Identifier: Apache-2.0
//
// How long a mirror takes to be whole again after its link was cut, by the length of the cut: what
// nats-server does by itself, with its configuration touched once a second meanwhile, or with an
// attendant beside it.
//
//   mirror_reattach --cut-s 1 --cut-s 30 [--touch | --attend]
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "CLI/App.hpp"
#include "CLI/Config.hpp"
#include "CLI/Formatter.hpp"
#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "conformance/relay/relay.h"
#include "jetstream/api_session.h"
#include "jetstream/nats_test_domains.h"
#include "replication/mirror_attendant.h"
#include "replication/mirror_fixture.h"
#include "replication/mirrors.h"

namespace jetd::conformance {
namespace {

using replication::HandWriter;
using replication::Mirrors;
using replication::WaitUntil;
using std::chrono::milliseconds;
using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr int kRecords = 10'000;

// Touches the mirror's configuration: another word in its metadata.
void Touch(jetstream::ApiSession* api, int count) {
  const auto info = api->Ask("", "STREAM.INFO.KV_b");
  if (!info.ok()) return;
  nlohmann::json config = info->at("config");
  config["metadata"]["jetd.touched"] = Cat(count);
  const auto touched = api->Ask("", "STREAM.UPDATE.KV_b", config);
  JETD_CHECK(touched.ok()) << touched.status();
}

enum class Help { kNone, kTouch, kAttend };

void Measure(int cut_s, Help help) {
  std::unique_ptr<Relay> link;
  const auto domains = jetstream::NatsTestDomains::Start([&link](int port) {
    link = Relay::Start(port).value();
    return link->port();
  });
  JETD_CHECK(domains != nullptr) << "JETD_NATS_SERVER names no nats-server";
  HandWriter writer(domains->hub().url());
  writer.Lead("00112233445566778899aabbccddeeff");
  writer.Put("/first", "value");
  writer.Flush();
  const auto mirrors =
      Mirrors::Open({.bucket = replication::kMirrorBucket, .nats_urls = {domains->hub().url()}})
          .value();
  const absl::Status added = mirrors->Add({.domain = jetstream::NatsTestDomains::kLeaf});
  JETD_CHECK(added.ok()) << added;
  // Asked on its own server, which answers whatever the link does. (A connection that nobody serves
  // for long is lost.)
  const auto open = [&] {
    return jetstream::ApiSession::Open({.urls = {domains->leaf().url()}}).value();
  };
  auto api = open();
  const auto has_all = [&] {
    const auto info = api->Ask("", "STREAM.INFO.KV_b");
    if (!info.ok()) api = open();
    return info.ok() && info->at("state").at("last_seq") == writer.last();
  };
  JETD_CHECK(WaitUntil(has_all)) << "the mirror does not begin";
  std::atomic<bool> over{false};
  const replication::AttendOptions options{
      .mirror = {.bucket = replication::kMirrorBucket, .nats_urls = {domains->leaf().url()}},
      .interrupted = &over};
  std::future<absl::Status> attendant;
  if (help == Help::kAttend) {
    attendant = std::async(std::launch::async, [&] { return AttendMirror(options); });
  }
  link->Refuse();
  for (int i = 0; i < kRecords; ++i) {
    writer.Put(Cat("/key/", i % 100), std::string(200, 'v'));
    if (i % 100 == 99) writer.Flush();
  }
  std::this_thread::sleep_for(seconds(cut_s));
  link->Release();
  const auto healed = steady_clock::now();
  auto next_touch = healed;
  int touches = 0;
  while (!has_all()) {
    std::this_thread::sleep_for(milliseconds(20));
    if (help != Help::kTouch || steady_clock::now() < next_touch) continue;
    Touch(api.get(), ++touches);
    next_touch += seconds(1);
  }
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - healed);
  const char* const how = help == Help::kNone    ? "left alone"
                          : help == Help::kTouch ? "touched"
                                                 : "attended";
  std::printf("cut %d s, %s: whole again after %.1f s\n", cut_s, how,
              static_cast<double>(took.count()) / 1e3);
  std::fflush(stdout);
  over = true;
  if (attendant.valid()) {
    const absl::Status ended = attendant.get();
    JETD_CHECK(ended.ok()) << ended;
  }
}

int Main(int argc, char** argv) {
  CLI::App app("How long a mirror takes to be whole again after a cut", "mirror_reattach");
  std::vector<int> cuts = {1};
  bool touch = false, attend = false;
  app.add_option("--cut-s", cuts, "Length of the cut, in seconds; may be repeated");
  app.add_flag("--touch", touch, "Touch the mirror's configuration once a second after it");
  app.add_flag("--attend", attend, "Have an attendant beside it (`jetctl mirror attend`)");
  CLI11_PARSE(app, argc, argv);
  log::Init({.level = log::Level::kError});
  const Help help = attend ? Help::kAttend : touch ? Help::kTouch : Help::kNone;
  for (const int cut : cuts) Measure(cut, help);
  return 0;
}

}  // namespace
}  // namespace jetd::conformance

int main(int argc, char** argv) { return jetd::conformance::Main(argc, argv); }
