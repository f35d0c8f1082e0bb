// SPDX-License-Identifier: Apache-2.0
#include "conformance/faults/nats_network.h"

#include <chrono>
#include <optional>
#include <thread>

#include "base/loop.h"
#include "base/strings.h"
#include "base/testing/free_port.h"
#include "jetstream/nats_api.h"
#include "jetstream/nats_connection.h"

namespace jetd::conformance {
namespace {

using jetstream::NatsApi;
using jetstream::NatsConnection;
using jetstream::NatsTestServer;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr char kServer[] = "JETD_NATS_SERVER";
constexpr char kUser[] = "tenant";  // with the same password
constexpr milliseconds kAskTimeout{2'000};
constexpr milliseconds kPoll{50};
// Nobody listens there. The servers tell each other where they can be reached, and are not to go
// past the relays.
constexpr char kNowhere[] = "127.0.0.1:1";

}  // namespace

absl::StatusOr<std::unique_ptr<NatsNetwork>> NatsNetwork::Start(const Options& options) {
  std::unique_ptr<NatsNetwork> network(new NatsNetwork(options));
  const absl::Status started = options.servers == 1 ? network->StartOne() : network->StartCluster();
  if (!started.ok()) return started;
  return network;
}

NatsNetwork::~NatsNetwork() = default;

absl::Status NatsNetwork::AddLinks() {
  if (servers_.back() == nullptr) {
    return MakeStatus(absl::StatusCode::kNotFound, kServer, " names no nats-server");
  }
  links_.resize(static_cast<size_t>(options_.members));
  for (auto& links : links_) {
    auto link = Relay::Start(servers_.back()->port());
    if (!link.ok()) return link.status();
    links.push_back(*std::move(link));
  }
  return absl::OkStatus();
}

std::string NatsNetwork::AccountConfig(int64_t bytes) const {
  std::string config = Cat("accounts { T: { users: [ { user: ", kUser, ", password: ", kUser,
                           " } ], jetstream: { max_file: ", bytes, " } } }\n");
  if (!options_.store_dir.empty()) {
    CatTo(config, "jetstream { store_dir: \"", options_.store_dir, "\" }\n");
  }
  return config;
}

absl::Status NatsNetwork::StartOne() {
  servers_.push_back(NatsTestServer::StartFrom(kServer, AccountConfig(-1)));
  return AddLinks();
}

absl::Status NatsNetwork::StartCluster() {
  const auto count = static_cast<size_t>(options_.servers);
  std::vector<int> ports;
  for (size_t i = 0; i < count; ++i) ports.push_back(FreePort());
  std::vector<std::string> routes(count);
  for (size_t from = 0; from < count; ++from) {
    for (size_t to = 0; to < count; ++to) {
      if (from == to) continue;
      auto relay = Relay::Start(ports[to]);
      if (!relay.ok()) return relay.status();
      CatTo(routes[from], routes[from].empty() ? "" : ", ", "nats://127.0.0.1:", (*relay)->port());
      routes_.push_back({from, to, *std::move(relay)});
    }
  }
  for (size_t i = 0; i < count; ++i) {
    servers_.push_back(NatsTestServer::StartFrom(
        kServer, Cat("server_name: n", i, "\ncluster { name: c, listen: \"127.0.0.1:", ports[i],
                     "\", advertise: \"", kNowhere, "\", no_advertise: true, routes: [", routes[i],
                     "] }\n")));
    if (absl::Status linked = AddLinks(); !linked.ok()) return linked;
  }
  return absl::OkStatus();
}

std::string NatsNetwork::relayed_urls(size_t member) const {
  std::string urls;
  for (const auto& link : links_[member]) {
    CatTo(urls, urls.empty() ? "" : ",", "nats://", size() == 1 ? Cat(kUser, ":", kUser, "@") : "",
          "127.0.0.1:", link->port());
  }
  return urls;
}

std::vector<std::string> NatsNetwork::urls() const {
  if (size() == 1) return {Cat("nats://", kUser, ":", kUser, "@127.0.0.1:", servers_[0]->port())};
  std::vector<std::string> urls;
  for (const auto& server : servers_) urls.push_back(server->url());
  return urls;
}

void NatsNetwork::SplitOff(size_t i, Split how) {
  for (const Route& route : routes_) {
    if (route.from != i && route.to != i) continue;
    if (how == Split::kRefused) {
      route.relay->Refuse();
    } else {
      route.relay->Hold(Relay::Direction::kUp);
      route.relay->Hold(Relay::Direction::kDown);
    }
  }
}

void NatsNetwork::Heal() {
  for (const Route& route : routes_) route.relay->Release();
}

void NatsNetwork::LimitAccount(int64_t bytes) { servers_[0]->Reload(AccountConfig(bytes)); }

absl::StatusOr<nlohmann::json> NatsNetwork::Ask(size_t i, const std::string& subject) const {
  Loop loop;
  auto connection = NatsConnection::Connect(&loop, {.url = urls()[i]}, "jetd faults", kAskTimeout);
  if (!connection.ok()) return connection.status();
  absl::StatusOr<nlohmann::json> result = absl::UnavailableError("no answer");
  std::optional<NatsApi> api;
  loop.AddRoundHook([&] { (*connection)->Flush(); });
  loop.Post([&] {
    (*connection)->Start([&](const absl::Status& why) {
      result = why;
      loop.Stop();
    });
    api.emplace(&loop, connection->get(), "$JS.API.", kAskTimeout);
    api->Request(api->Subject(subject), "", [&](absl::StatusOr<jetstream::NatsMessage*> answer) {
      if (answer.ok()) {
        result = jetstream::ParseAnswer((*answer)->payload());
      } else {
        result = answer.status();
      }
      loop.Stop();
    });
  });
  loop.Run();
  (*connection)->Stop();
  api->Drop();
  api.reset();
  if (!result.ok()) return result;
  if (const jetstream::ApiError error = jetstream::ApiErrorOf(*result); error.code != 0) {
    return MakeStatus(absl::StatusCode::kUnavailable, subject, ": ", error.description);
  }
  return result;
}

absl::StatusOr<size_t> NatsNetwork::StreamLeader(const std::string& stream, size_t asked) {
  const auto answer = Ask(asked, "STREAM.INFO." + stream);
  if (!answer.ok()) return answer.status();
  const auto cluster = answer->find("cluster");
  if (cluster == answer->end()) return absl::UnavailableError("the stream is in no cluster");
  const std::string name = jetstream::TextOf(*cluster, "leader");
  for (size_t i = 0; i < size(); ++i) {
    if (name == Cat("n", i)) return i;
  }
  return absl::UnavailableError("the stream has no leader");
}

absl::StatusOr<size_t> NatsNetwork::FindStreamLeader(const std::string& stream,
                                                     milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  while (true) {
    for (size_t i = 0; i < size(); ++i) {
      if (!servers_[i]->running()) continue;
      const auto leader = StreamLeader(stream, i);
      if (leader.ok() || steady_clock::now() > deadline) return leader;
    }
    std::this_thread::sleep_for(kPoll);
  }
}

absl::Status NatsNetwork::StepDown(const std::string& stream, milliseconds patience) {
  const auto deadline = steady_clock::now() + patience;
  while (true) {
    const auto leader = FindStreamLeader(stream, patience);
    if (!leader.ok()) return leader.status();
    absl::Status asked = Ask(*leader, "STREAM.LEADER.STEPDOWN." + stream).status();
    if (asked.ok() || steady_clock::now() > deadline) return asked;
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace jetd::conformance
