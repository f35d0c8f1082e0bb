// SPDX-License-Identifier: Apache-2.0
#include "jetstream/nats_test_domains.h"

#include <chrono>
#include <thread>

#include "base/check.h"
#include "base/strings.h"
#include "base/testing/free_port.h"
#include "jetstream/api_session.h"

namespace jetd::jetstream {
namespace {

constexpr char kAccount[] =
    "accounts { T { jetstream: enabled, users: [ { user: t, password: t } ] } }\n"
    "no_auth_user: t\n";

}  // namespace

std::unique_ptr<NatsTestDomains> NatsTestDomains::Start(
    const std::function<int(int hub_port)>& link) {
  const int port = FreePort();
  std::unique_ptr<NatsTestDomains> domains(new NatsTestDomains);
  // It does not say where it listens: the leaf would dial that as soon as a relay is cut.
  domains->hub_ = NatsTestServer::StartFrom(
      "JETD_NATS_SERVER",
      Cat("server_name: hub\n", kAccount, "leafnodes { listen: \"127.0.0.1:", port,
          "\", no_advertise: true }\n"),
      Cat(", domain: ", kHub));
  if (domains->hub_ == nullptr) return nullptr;
  domains->leaf_ = NatsTestServer::StartFrom(
      "JETD_NATS_SERVER",
      Cat("server_name: leaf\n", kAccount,
          "leafnodes { remotes: [ { url: \"nats-leaf://t:t@127.0.0.1:", link(port),
          "\", account: T } ] }\n"),
      Cat(", domain: ", kLeaf));
  domains->AwaitLeaf();
  return domains;
}

void NatsTestDomains::AwaitLeaf() const {
  // What a leaf node offers is known to the hub a moment after the connection.
  const auto api = ApiSession::Open({.urls = {hub_->url()}}).value();
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!api->Ask(kLeaf, "INFO").ok()) {
    JETD_CHECK(std::chrono::steady_clock::now() < deadline) << "the leaf node does not connect";
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

}  // namespace jetd::jetstream
