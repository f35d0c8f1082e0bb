// SPDX-License-Identifier: Apache-2.0
//
// Several jetd, as processes, on one bucket of a nats-server that they share.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "base/etcdpb/rpc.grpc.pb.h"
#include "base/strings.h"
#include "base/testing/free_port.h"
#include "etcdapi/flags.h"
#include "etcdapi/testing/jetd_process.h"
#include "gmock/gmock.h"
#include "grpcpp/create_channel.h"
#include "gtest/gtest.h"
#include "jetstream/nats_test_server.h"

namespace jetd::etcdapi {
namespace {

using etcdserverpb::Cluster;
using etcdserverpb::KV;
using etcdserverpb::Lease;
using etcdserverpb::Maintenance;
using etcdserverpb::Watch;
using jetstream::NatsTestServer;
using ::testing::UnorderedElementsAre;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kFarTooLong{60};

int Number(const char* variable, int otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::atoi(text);
}

// One jetd and a client of it.
class Node {
 public:
  Node(const std::string& name, const NatsTestServer& nats)
      : address_(Cat("127.0.0.1:", FreePort())),
        process_({"--name", name, "--nats-url", nats.url(), "--listen-client-urls",
                  Cat("http://", address_)}) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetMaxReceiveMessageSize(-1);
    channel_ = grpc::CreateCustomChannel(address_, grpc::InsecureChannelCredentials(), arguments);
    kv_ = KV::NewStub(channel_);
  }
  [[nodiscard]] bool Serves() { return process_.WaitFor("ready to serve client requests"); }
  [[nodiscard]] JetdProcess& process() { return process_; }
  [[nodiscard]] const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  static void Wait(grpc::ClientContext* context, std::chrono::milliseconds time = kFarTooLong) {
    context->set_deadline(std::chrono::system_clock::now() + time);
    context->set_wait_for_ready(true);
  }
  grpc::Status Put(const std::string& key, const std::string& value, int64_t lease = 0,
                   int64_t* revision = nullptr) {
    grpc::ClientContext context;
    Wait(&context);
    etcdserverpb::PutRequest request;
    request.set_key(key);
    request.set_value(value);
    request.set_lease(lease);
    etcdserverpb::PutResponse response;
    const grpc::Status status = kv_->Put(&context, request, &response);
    member_id_ = response.header().member_id();
    if (revision != nullptr) *revision = response.header().revision();
    return status;
  }
  // "" if it is not there, the error's text if there is no answer.
  std::string Get(const std::string& key, bool serializable = false) {
    grpc::ClientContext context;
    Wait(&context);
    etcdserverpb::RangeRequest request;
    request.set_key(key);
    request.set_serializable(serializable);
    etcdserverpb::RangeResponse response;
    const grpc::Status status = kv_->Range(&context, request, &response);
    if (!status.ok()) return status.error_message();
    return response.kvs_size() == 0 ? "" : response.kvs(0).value();
  }
  etcdserverpb::StatusResponse Status() {
    grpc::ClientContext context;
    Wait(&context);
    etcdserverpb::StatusResponse response;
    const auto stub = Maintenance::NewStub(channel_);
    EXPECT_TRUE(stub->Status(&context, {}, &response).ok());
    return response;
  }
  bool Leads() {
    const auto status = Status();
    return status.leader() == status.header().member_id();
  }
  std::vector<std::string> Members() {
    grpc::ClientContext context;
    Wait(&context);
    etcdserverpb::MemberListResponse response;
    EXPECT_TRUE(Cluster::NewStub(channel_)->MemberList(&context, {}, &response).ok());
    std::vector<std::string> names;
    for (const auto& member : response.members()) names.push_back(member.name());
    return names;
  }
  [[nodiscard]] uint64_t member_id() const { return member_id_; }

 private:
  const std::string address_;
  JetdProcess process_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<KV::Stub> kv_;
  uint64_t member_id_ = 0;  // as the newest Put's answer said
};

class MembersTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!JetdProcess::Available()) GTEST_SKIP() << "JETD_BIN names no jetd";
    nats_ = NatsTestServer::StartFrom("JETD_NATS_SERVER");
    if (nats_ == nullptr) GTEST_SKIP() << "JETD_NATS_SERVER names no nats-server";
  }
  std::unique_ptr<Node> Start(const std::string& name) {
    auto node = std::make_unique<Node>(name, *nats_);
    EXPECT_TRUE(node->Serves()) << node->process().output();
    return node;
  }
  // Writes until one is taken, and says how long that took.
  static std::chrono::milliseconds Outage(Node* node, const std::string& value) {
    const auto begin = Clock::now();
    while (Clock::now() - begin < kFarTooLong && !node->Put("outage", value).ok()) {
    }
    EXPECT_EQ(node->Get("outage"), value);
    return std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begin);
  }

  std::unique_ptr<NatsTestServer> nats_;
};

TEST_F(MembersTest, EachServesReadsAndWrites) {
  auto a = Start("a");
  auto b = Start("b");
  auto c = Start("c");
  EXPECT_TRUE(a->Leads());
  EXPECT_FALSE(b->Leads());
  for (int i = 0; i < 100; ++i) {
    Node* nodes[] = {a.get(), b.get(), c.get()};
    Node* writer = nodes[i % 3];
    int64_t revision = 0;
    ASSERT_TRUE(writer->Put("k", Cat(i), 0, &revision).ok());
    EXPECT_EQ(revision, i + 2);
    EXPECT_EQ(writer->member_id(), writer->Status().header().member_id()) << "in its own name";
    EXPECT_EQ(writer->Get("k", /*serializable=*/true), Cat(i)) << "its own write";
    for (Node* node : nodes) ASSERT_EQ(node->Get("k"), Cat(i));
  }
  EXPECT_THAT(b->Members(), UnorderedElementsAre("a", "b", "c"));
  EXPECT_THAT(a->Members(), UnorderedElementsAre("a", "b", "c"));
  EXPECT_EQ(b->Status().leader(), a->Status().header().member_id());
  // As large as a client may send.
  const std::string large(1'000'000, 'x');
  ASSERT_TRUE(b->Put("large", large).ok());
  EXPECT_TRUE(c->Get("large") == large);
}

TEST_F(MembersTest, ErrorsOfTheLeaderComeBack) {
  auto a = Start("a");
  auto b = Start("b");
  const grpc::Status status = b->Put("k", "v", /*lease=*/123);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "etcdserver: requested lease not found");
}

TEST_F(MembersTest, WatchesAndLeasesOfAFollower) {
  auto a = Start("a");
  auto b = Start("b");
  const auto lease = Lease::NewStub(b->channel());
  etcdserverpb::LeaseGrantRequest grant;
  grant.set_ttl(600);
  etcdserverpb::LeaseGrantResponse granted;
  grpc::ClientContext grant_context;
  Node::Wait(&grant_context);
  ASSERT_TRUE(lease->LeaseGrant(&grant_context, grant, &granted).ok());

  grpc::ClientContext watch_context;
  Node::Wait(&watch_context);
  const auto watch = Watch::NewStub(b->channel())->Watch(&watch_context);
  etcdserverpb::WatchRequest create;
  create.mutable_create_request()->set_key("k");
  create.mutable_create_request()->set_prev_kv(true);
  watch->Write(create);
  etcdserverpb::WatchResponse event;
  ASSERT_TRUE(watch->Read(&event));
  ASSERT_TRUE(event.created());
  ASSERT_TRUE(a->Put("k", "1", granted.id()).ok());
  ASSERT_TRUE(watch->Read(&event));
  ASSERT_EQ(event.events_size(), 1);
  EXPECT_EQ(event.events(0).kv().value(), "1");

  grpc::ClientContext keep_context;
  Node::Wait(&keep_context);
  const auto keep = lease->LeaseKeepAlive(&keep_context);
  etcdserverpb::LeaseKeepAliveRequest renew;
  renew.set_id(granted.id());
  keep->Write(renew);
  etcdserverpb::LeaseKeepAliveResponse renewed;
  ASSERT_TRUE(keep->Read(&renewed));
  EXPECT_EQ(renewed.ttl(), 600);

  etcdserverpb::LeaseTimeToLiveRequest ask;
  ask.set_id(granted.id());
  ask.set_keys(true);
  etcdserverpb::LeaseTimeToLiveResponse left;
  grpc::ClientContext ask_context;
  Node::Wait(&ask_context);
  ASSERT_TRUE(lease->LeaseTimeToLive(&ask_context, ask, &left).ok());
  ASSERT_EQ(left.keys_size(), 1);
  EXPECT_EQ(left.keys(0), "k");

  etcdserverpb::LeaseRevokeRequest revoke;
  revoke.set_id(granted.id());
  etcdserverpb::LeaseRevokeResponse revoked;
  grpc::ClientContext revoke_context;
  Node::Wait(&revoke_context);
  ASSERT_TRUE(lease->LeaseRevoke(&revoke_context, revoke, &revoked).ok());
  EXPECT_EQ(b->Get("k", /*serializable=*/true), "");
  ASSERT_TRUE(watch->Read(&event));
  ASSERT_EQ(event.events_size(), 1);
  EXPECT_EQ(event.events(0).type(), mvccpb::Event::DELETE);
  EXPECT_EQ(event.events(0).prev_kv().value(), "1");
  keep_context.TryCancel();
  watch_context.TryCancel();
}

TEST_F(MembersTest, TakesOverWhenTheLeaderIsKilled) {
  auto a = Start("a");
  auto b = Start("b");
  auto c = Start("c");
  ASSERT_TRUE(b->Put("k", "1").ok());
  // With numbers of one's own this is the measurement of how long a take-over takes.
  for (int i = 0; i < Number("JETD_TEST_KEYS", 100); ++i) {
    ASSERT_TRUE(a->Put(Cat("key/", i), std::string(300, 'v')).ok());
  }
  std::vector<int64_t> took_ms;
  // Killed, and started again; whoever leads is the next.
  std::unique_ptr<Node>* nodes[] = {&a, &b, &c};
  for (int round = 0; round < Number("JETD_TEST_TAKE_OVERS", 5); ++round) {
    std::unique_ptr<Node>* leader = nullptr;
    Node* other = nullptr;
    for (auto* node : nodes) {
      if ((*node)->Leads()) {
        leader = node;
      } else {
        other = node->get();
      }
    }
    ASSERT_NE(leader, nullptr);
    (*leader)->process().Signal(SIGKILL);
    (*leader)->process().WaitForEnd();
    took_ms.push_back(Outage(other, Cat("kill ", round)).count());
    EXPECT_EQ(other->Get("k"), "1");
    *leader = Start(Cat("next", round));
    EXPECT_EQ((*leader)->Get("outage"), Cat("kill ", round));
  }
  std::sort(took_ms.begin(), took_ms.end());
  std::cout << took_ms.size() << " take-overs, ms from the kill to the first write: median "
            << took_ms[took_ms.size() / 2] << ", longest " << took_ms.back() << "\n";
}

TEST_F(MembersTest, ACleanStopHandsOver) {
  auto a = Start("a");
  auto b = Start("b");
  ASSERT_TRUE(b->Put("k", "1").ok());
  a->process().Signal(SIGTERM);
  std::cout << "handed over, first write after " << Outage(b.get(), "stop").count() << " ms\n";
  ASSERT_TRUE(b->process().WaitFor("leading in term 2"));
  EXPECT_EQ(a->process().WaitForEnd(), kExitOk);
  ASSERT_TRUE(b->Put("k", "2").ok());
  EXPECT_EQ(b->Get("k"), "2");
}

TEST_F(MembersTest, AFrozenLeaderTellsNoLies) {
  auto a = Start("a");
  auto b = Start("b");
  ASSERT_TRUE(a->Put("k", "1").ok());
  a->process().Freeze();
  std::cout << "taken over after " << Outage(b.get(), "frozen").count() << " ms\n";
  ASSERT_TRUE(b->Put("k", "2").ok());
  a->process().Signal(SIGCONT);
  EXPECT_EQ(a->Get("k"), "2");
  ASSERT_TRUE(a->Put("k", "3").ok()) << "through the other";
  EXPECT_EQ(b->Get("k"), "3");
  EXPECT_FALSE(a->Leads());
}

TEST_F(MembersTest, MovesTheLeader) {
  auto a = Start("a");
  auto b = Start("b");
  ASSERT_TRUE(b->Put("k", "1").ok());
  etcdserverpb::MoveLeaderRequest move;
  move.set_targetid(b->Status().header().member_id());
  etcdserverpb::MoveLeaderResponse moved;
  {
    grpc::ClientContext context;
    Node::Wait(&context);
    const grpc::Status status =
        Maintenance::NewStub(b->channel())->MoveLeader(&context, move, &moved);
    EXPECT_EQ(status.error_message(), "etcdserver: not leader");
  }
  {
    grpc::ClientContext context;
    Node::Wait(&context);
    const grpc::Status status =
        Maintenance::NewStub(a->channel())->MoveLeader(&context, move, &moved);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  EXPECT_TRUE(b->Leads());
  EXPECT_FALSE(a->Leads());
  ASSERT_TRUE(a->Put("k", "2").ok());
  EXPECT_EQ(a->Get("k"), "2");
}

TEST_F(MembersTest, ARestartOfNatsIsSurvived) {
  auto a = Start("a");
  auto b = Start("b");
  ASSERT_TRUE(b->Put("k", "1").ok());
  nats_->Kill();
  nats_->Restart();
  Outage(a.get(), "one");
  Outage(b.get(), "two");
  EXPECT_EQ(a->Get("outage"), "two");
  EXPECT_EQ(b->Get("k"), "1");
}

}  // namespace
}  // namespace jetd::etcdapi
