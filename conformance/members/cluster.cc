// SPDX-License-Identifier: Apache-2.0
#include "conformance/members/cluster.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/strings.h"
#include "etcdclient/client.h"

namespace jetd::conformance {
namespace {

using etcdclient::ServerProcess;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
namespace pb = etcdclient::pb;

constexpr milliseconds kPoll{20};
constexpr etcdclient::CallOptions kCall{.timeout = milliseconds(1'000)};

}  // namespace

absl::StatusOr<std::unique_ptr<Cluster>> Cluster::Start(const Options& options) {
  std::unique_ptr<Cluster> cluster(new Cluster(options));
  auto network = NatsNetwork::Start({.servers = options.nats_servers});
  if (!network.ok()) return network.status();
  cluster->network_ = *std::move(network);
  for (int i = 0; i < options.members; ++i) {
    auto member = cluster->StartAnother();
    if (!member.ok()) return member.status();
    if (absl::Status ready = (*member)->WaitReady(options.patience); !ready.ok()) return ready;
    cluster->members_.push_back(*std::move(member));
  }
  return cluster;
}

absl::StatusOr<std::unique_ptr<ServerProcess>> Cluster::StartAnother() {
  ServerProcess::Options server = options_.server;
  std::string urls;
  for (const std::string& url : network_->urls()) CatTo(urls, urls.empty() ? "" : ",", url);
  server.flags.push_back("--nats-url=" + urls);
  server.flags.push_back(Cat("--nats-replicas=", options_.nats_servers));
  server.flags.push_back(Cat("--name=m", named_++));
  return ServerProcess::Start(std::move(server));
}

std::vector<std::string> Cluster::endpoints() const {
  std::vector<std::string> endpoints;
  for (const auto& member : members_) endpoints.push_back(member->endpoint());
  return endpoints;
}

absl::StatusOr<Cluster::View> Cluster::Ask(size_t i) const {
  auto client = members_[i]->Connect();
  if (!client.ok()) return client.status();
  const auto status = (*client)->Call(pb::StatusRequest(), kCall);
  if (!status.ok()) return status.status();
  const auto list = (*client)->Call(pb::MemberListRequest(), kCall);
  if (!list.ok()) return list.status();
  return View{.id = status->header().member_id(),
              .leader = status->leader(),
              .term = status->raftterm(),
              .listed = static_cast<size_t>(list->members_size())};
}

absl::StatusOr<size_t> Cluster::FindLeader() {
  const auto deadline = steady_clock::now() + options_.patience;
  while (true) {
    uint64_t newest = 0;
    size_t leader = size();
    for (size_t i = 0; i < size(); ++i) {
      const auto view = Ask(i);
      if (view.ok() && view->id == view->leader && view->term > newest) {
        newest = view->term;
        leader = i;
      }
    }
    if (leader < size()) return leader;
    if (steady_clock::now() > deadline) {
      return MakeStatus(absl::StatusCode::kDeadlineExceeded, "nobody leads\n", LogTails());
    }
    std::this_thread::sleep_for(kPoll);
  }
}

absl::Status Cluster::AwaitAgreement(history::Violations& violations) {
  for (const auto& member : members_) {
    if (!member->running()) {
      return MakeStatus(absl::StatusCode::kInternal,
                        "a member ended by itself: ", member->HowItEnded(), "\n",
                        member->LogTail());
    }
    if (absl::Status ready = member->WaitReady(options_.patience); !ready.ok()) return ready;
  }
  const auto deadline = steady_clock::now() + options_.patience;
  while (true) {
    std::string seen;
    std::vector<View> views;
    for (size_t i = 0; i < size(); ++i) {
      const auto view = Ask(i);
      if (view.ok()) views.push_back(*view);
      CatTo(seen, "\n  m", i, ": ");
      if (view.ok()) {
        CatTo(seen, "member ", view->id, ", leader ", view->leader, ", term ", view->term, ", ",
              view->listed, " members");
      } else {
        CatTo(seen, MessageOf(view.status()));
      }
    }
    const bool agreed =
        views.size() == size() && std::all_of(views.begin(), views.end(), [&](const View& view) {
          return view.leader == views[0].leader && view.term == views[0].term &&
                 view.listed == size();
        });
    const bool is_one = std::any_of(views.begin(), views.end(),
                                    [&](const View& view) { return view.id == views[0].leader; });
    if (agreed && is_one) return absl::OkStatus();
    if (steady_clock::now() > deadline) {
      violations.Add("no agreement", seen);
      return absl::OkStatus();
    }
    std::this_thread::sleep_for(kPoll);
  }
}

absl::Status Cluster::MoveLeader(size_t from, size_t to) {
  const auto target = Ask(to);
  if (!target.ok()) return target.status();
  auto client = members_[from]->Connect();
  if (!client.ok()) return client.status();
  pb::MoveLeaderRequest request;
  request.set_targetid(target->id);
  return (*client)->Call(request, {.timeout = milliseconds(10'000)}).status();
}

std::string Cluster::LogTails() const {
  std::string text;
  for (const auto& member : members_) CatTo(text, member->LogTail(), "\n");
  return text;
}

}  // namespace jetd::conformance
