// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/http_server.h"

#include <unistd.h>

#include <chrono>
#include <fstream>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/strings.h"
#include "base/testing/test_certificate.h"
#include "base/testing/wait_until.h"
#include "etcdapi/testing/http_get.h"
#include "etcdapi/testing/raw_http_client.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace jetd::etcdapi {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

ListenUrl UrlOf(const std::string& text) {
  auto url = ParseListenUrl(text);
  JETD_CHECK(url.ok()) << url.status();
  url->flag = "--listen-metrics-urls";
  return *url;
}

std::unique_ptr<HttpServer> MustListen(HttpServer::Options options) {
  if (options.urls.empty()) options.urls = {UrlOf("http://127.0.0.1:0")};
  auto server = HttpServer::Listen(std::move(options));
  JETD_CHECK(server.ok()) << server.status();
  return *std::move(server);
}

// Says what was asked.
void Echo(const HttpRequest& request, const HttpServer::ReplyFn& reply) {
  std::string body = Cat(request.method, " ", request.path);
  for (const auto& [name, value] : request.query) CatTo(body, " [", name, "=", value, "]");
  reply({.headers = {{"X-Echo", "yes"}}, .body = body});
}

std::string Write(const std::string& name, const std::string& text) {
  const std::string path = Cat(::testing::TempDir(), "/http-", getpid(), "-", name);
  std::ofstream(path) << text;
  return path;
}

TEST(HttpServerTest, HandsOverWhatWasAsked) {
  const auto server = MustListen({});
  server->Start(Echo);
  const HttpAnswer answer =
      Get({.port = server->port(0), .path = "/a%20b?verbose&exclude=x%26y&exclude=z&empty="});
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "GET /a b [verbose=] [exclude=x&y] [exclude=z] [empty=]");
  EXPECT_EQ(answer.headers.at("X-Echo"), "yes");
  EXPECT_EQ(answer.headers.at("Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(Get({.port = server->port(0), .path = "/x", .method = "POST"}).body, "POST /x");
}

TEST(HttpServerTest, ReadsNamesAndValues) {
  const HttpRequest request{.query = {{"a", ""}, {"b", "1"}, {"b", ""}, {"b", "2"}}};
  EXPECT_TRUE(request.Has("a"));
  EXPECT_FALSE(request.Has("c"));
  EXPECT_EQ(request.First("b"), "1");
  EXPECT_EQ(request.First("c"), "");
  EXPECT_THAT(request.All("b"), ElementsAre("1", "2"));
}

TEST(HttpServerTest, TakesRepliesFromAnyThreadAtAnyTime) {
  const auto server = MustListen({});
  std::promise<HttpServer::ReplyFn> asked;
  server->Start(
      [&](const HttpRequest&, HttpServer::ReplyFn reply) { asked.set_value(std::move(reply)); });
  std::future<HttpAnswer> answer =
      std::async(std::launch::async, [&] { return Get({.port = server->port(0), .path = "/"}); });
  HttpServer::ReplyFn reply = asked.get_future().get();
  std::thread other([&] {
    reply({.status = 418, .make_body = [] { return std::string("late"); }});
    reply({.body = "once more"});
  });
  other.join();
  const HttpAnswer got = answer.get();
  EXPECT_EQ(got.status, 418);
  EXPECT_EQ(got.body, "late");
}

TEST(HttpServerTest, AnswersForAHandlerThatDoesNot) {
  const auto server = MustListen({.patience = milliseconds(1)});
  std::vector<HttpServer::ReplyFn> kept;
  server->Start(
      [&](const HttpRequest&, HttpServer::ReplyFn reply) { kept.push_back(std::move(reply)); });
  EXPECT_EQ(Get({.port = server->port(0), .path = "/"}).status, 503);
  server->Stop();
  for (const auto& reply : kept) reply({.body = "too late"});
}

TEST(HttpServerTest, EndsWithARequestUnanswered) {
  std::unique_ptr<HttpServer> server = MustListen({});
  std::promise<void> asked;
  server->Start([&](const HttpRequest&, const HttpServer::ReplyFn&) { asked.set_value(); });
  std::future<HttpAnswer> answer = std::async(
      std::launch::async, [port = server->port(0)] { return Get({.port = port, .path = "/"}); });
  asked.get_future().wait();
  server.reset();
  EXPECT_EQ(answer.get().status, 0);
}

TEST(HttpServerTest, RefusesWhatIsTooLarge) {
  const auto server = MustListen({});
  server->Start(Echo);
  const std::string large(limits::kMaxHttpRequestBytes + 1, 'x');
  EXPECT_EQ(Get({.port = server->port(0), .path = "/", .headers = {{"X", large}}}).status, 400);
  RawHttpClient client(server->port(0));
  client.Send(Cat("POST / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n"));
  EXPECT_THAT(client.ReadAll(), HasSubstr("413"));
  EXPECT_EQ(Get({.port = server->port(0), .path = "/"}).status, 200);
}

TEST(HttpServerTest, WhatIsNoHttpEndsTheConnection) {
  const auto server = MustListen({});
  server->Start(Echo);
  RawHttpClient client(server->port(0));
  client.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  EXPECT_THAT(client.ReadAll(), Not(HasSubstr("200 OK")));
}

TEST(HttpServerTest, ASilentClientIsLeft) {
  const auto server = MustListen({.max_life = milliseconds(50)});
  server->Start(Echo);
  RawHttpClient silent(server->port(0));
  EXPECT_EQ(silent.ReadAll(), "");
  RawHttpClient halting(server->port(0));
  halting.Send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(halting.ReadAll(), "");
}

// More than may be at a time, most of them silent: all others are served in the end.
TEST(HttpServerTest, SilentClientsDoNotKeepOthersOut) {
  const auto server = MustListen({.max_connections = 2, .max_life = milliseconds(50)});
  server->Start(Echo);
  std::vector<std::unique_ptr<RawHttpClient>> silent;
  for (int i = 0; i < 5; ++i) silent.push_back(std::make_unique<RawHttpClient>(server->port(0)));
  for (int i = 0; i < 5; ++i) {
    // On a busy machine one of these may be too slow for its 50 ms too.
    EXPECT_TRUE(
        WaitUntil([&] { return Get({.port = server->port(0), .path = "/"}).status == 200; }));
  }
  for (const auto& client : silent) EXPECT_EQ(client->ReadAll(), "");
}

// A balancer that only connects, again and again.
TEST(HttpServerTest, ConnectionsThatAskNothingAreForgotten) {
  const auto server = MustListen({.max_connections = 3});
  server->Start(Echo);
  for (int i = 0; i < 20; ++i) {
    { const RawHttpClient gone(server->port(0)); }
    EXPECT_EQ(Get({.port = server->port(0), .path = "/"}).status, 200);
  }
}

TEST(HttpServerTest, SaysWhyItCannotListen) {
  const auto first = MustListen({});
  const std::string url = Cat("http://127.0.0.1:", first->port(0));
  const auto second = HttpServer::Listen({.urls = {UrlOf(url)}});
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(MessageOf(second.status()),
            Cat("cannot listen on ", url,
                ": Address already in use; choose another --listen-metrics-urls, or stop who has "
                "it"));
  const auto elsewhere = HttpServer::Listen({.urls = {UrlOf("http://192.0.2.1:1")}});
  EXPECT_THAT(std::string(MessageOf(elsewhere.status())), HasSubstr("cannot listen on"));
}

std::unique_ptr<HttpServer> WithoutUrls(HttpServer::Options options = {}) {
  auto server = HttpServer::Listen(std::move(options));
  JETD_CHECK(server.ok()) << server.status();
  return *std::move(server);
}

TEST(HttpServerTest, TakesClientsOfWhichSomethingWasRead) {
  const auto server = WithoutUrls();
  server->Start(Echo);
  const std::string request = "GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const size_t read : {size_t{0}, size_t{1}, size_t{20}, request.size()}) {
    const RawHttpClient client(server.get(), request.substr(0, read));
    client.Send(request.substr(read));
    const std::string answer = client.ReadAll();
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n")) << read;
    EXPECT_THAT(answer, EndsWith("GET /a [b=c]")) << read;
  }
}

TEST(HttpServerTest, TakesManyAtOnceBesideItsOwn) {
  const auto server = MustListen({});
  server->Start(Echo);
  std::vector<std::unique_ptr<RawHttpClient>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(
        std::make_unique<RawHttpClient>(server.get(), Cat("GET /", i, " HTTP/1.1\r\n")));
    EXPECT_EQ(Get({.port = server->port(0), .path = "/own"}).body, "GET /own");
  }
  for (const auto& client : clients) client->Send("\r\n");
  for (int i = 0; i < 40; ++i) EXPECT_THAT(clients[i]->ReadAll(), EndsWith(Cat("GET /", i)));
}

TEST(HttpServerTest, RefusesWhatIsTooLargeOrNoHttpOfThoseItTakes) {
  const auto server = WithoutUrls();
  server->Start(Echo);
  const std::string large(64 * 1024, 'x');
  EXPECT_THAT(RawHttpClient(server.get(), Cat("GET / HTTP/1.1\r\nX: ", large)).ReadAll(),
              Not(HasSubstr("200 OK")));
  EXPECT_THAT(RawHttpClient(server.get(), "\x16\x03\x01 what is this?\r\n\r\n").ReadAll(),
              Not(HasSubstr("200 OK")));
  EXPECT_THAT(RawHttpClient(server.get(), "GET / HTTP/1.1\r\n\r\n").ReadAll(), HasSubstr("200 OK"));
}

// Many who ask nothing keep nobody out, of the client port or of its own URLs.
TEST(HttpServerTest, SilentClientsGiveWayToThoseWhoAsk) {
  const auto server = MustListen({.max_connections = 2, .max_life = std::chrono::minutes(10)});
  server->Start(Echo);
  const RawHttpClient one(server.get(), "G");
  const RawHttpClient two(server.get(), "G");
  const RawHttpClient three(server.get(), "GET / HTTP/1.1\r\n\r\n");
  EXPECT_THAT(three.ReadAll(), HasSubstr("200 OK"));
  EXPECT_EQ(one.ReadAll(), "");
  std::vector<std::unique_ptr<RawHttpClient>> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(std::make_unique<RawHttpClient>(server.get(), "GET / HT"));
    EXPECT_THAT(RawHttpClient(server.get(), "GET / HTTP/1.1\r\n\r\n").ReadAll(),
                HasSubstr("200 OK"));
  }
  EXPECT_EQ(two.ReadAll(), "");
  EXPECT_EQ(silent.front()->ReadAll(), "");
  EXPECT_EQ(Get({.port = server->port(0), .path = "/"}).status, 200);
}

TEST(HttpServerTest, BeyondTheBoundWhoWaitsForAnAnswerStays) {
  constexpr std::chrono::minutes kLong{10};
  const auto server = MustListen({.max_connections = 2, .patience = kLong, .max_life = kLong});
  std::vector<HttpServer::ReplyFn> kept;  // the server's thread's, and after that ours
  std::promise<void> both;
  server->Start([&](const HttpRequest& request, HttpServer::ReplyFn reply) {
    if (request.path == "/now") return reply({.body = "now"});
    kept.push_back(std::move(reply));
    if (kept.size() == 2) both.set_value();
  });
  const RawHttpClient one(server.get(), "GET /1 HTTP/1.1\r\n\r\n");
  const RawHttpClient two(server.get(), "GET /2 HTTP/1.1\r\n\r\n");
  both.get_future().wait();
  EXPECT_EQ(RawHttpClient(server.get(), "GET /now HTTP/1.1\r\n\r\n").ReadAll(), "");
  EXPECT_EQ(Get({.port = server->port(0), .path = "/now"}).body, "now");
  for (const auto& reply : kept) reply({.body = "late"});
  EXPECT_THAT(one.ReadAll(), EndsWith("late"));
  EXPECT_THAT(two.ReadAll(), EndsWith("late"));
  EXPECT_THAT(RawHttpClient(server.get(), "GET /now HTTP/1.1\r\n\r\n").ReadAll(), EndsWith("now"));
}

TEST(HttpServerTest, AfterStopNobodyIsLeftToWait) {
  const auto server = MustListen({});
  const int port = server->port(0);
  std::promise<void> asked;
  server->Start([&](const HttpRequest&, const HttpServer::ReplyFn&) { asked.set_value(); });
  const RawHttpClient silent(port);
  const RawHttpClient waits(server.get(), "GET / HTTP/1.1\r\n\r\n");
  asked.get_future().wait();
  server->Stop();
  EXPECT_EQ(silent.ReadAll(), "");
  EXPECT_EQ(waits.ReadAll(), "");
  // Refused, and not left in the backlog.
  EXPECT_EQ(Get({.port = port, .path = "/"}).status, 0);
  server->Stop();
}

TEST(HttpServerTest, SilentOnesOfThoseItTakesAreLeft) {
  const auto server = WithoutUrls({.max_life = milliseconds(50)});
  server->Start(Echo);
  EXPECT_EQ(RawHttpClient(server.get(), "G").ReadAll(), "");
}

TEST(HttpServerTest, ClosesThoseWhomItDoesNotServe) {
  const auto server = WithoutUrls();
  const RawHttpClient early(server.get(), "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(early.ReadAll(), "");
  server->Start(Echo);
  const RawHttpClient under_way(server.get(), "GET /");
  server->Stop();
  const RawHttpClient late(server.get(), "GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(late.ReadAll(), "");
}

TEST(HttpServerTest, EndsWithClientsThatItHasTaken) {
  std::unique_ptr<HttpServer> server = WithoutUrls();
  std::promise<void> asked;
  server->Start([&](const HttpRequest&, const HttpServer::ReplyFn&) { asked.set_value(); });
  const RawHttpClient waits(server.get(), "GET / HTTP/1.1\r\n\r\n");
  asked.get_future().wait();
  const RawHttpClient comes(server.get(), "GET / HTTP/1.1\r\n");
  server.reset();
  EXPECT_EQ(waits.ReadAll(), "");
  EXPECT_EQ(comes.ReadAll(), "");
}

class HttpTlsTest : public ::testing::Test {
 protected:
  HttpTlsTest() {
    const TestCertificate ca = MakeTestCertificate("ca");
    const TestCertificate server = MakeTestCertificate("server", &ca);
    const TestCertificate client = MakeTestCertificate("client", &ca);
    ca_ = Write("ca.crt", ca.cert_pem);
    tls_.cert_file = Write("server.crt", server.cert_pem);
    tls_.key_file = Write("server.key", server.key_pem);
    client_cert_ = Write("client.crt", client.cert_pem);
    client_key_ = Write("client.key", client.key_pem);
    other_cert_ = Write("other.crt", MakeTestCertificate("other").cert_pem);
  }
  [[nodiscard]] std::unique_ptr<HttpServer> Start() const {
    auto server = MustListen(
        {.urls = {UrlOf("https://127.0.0.1:0"), UrlOf("http://127.0.0.1:0")}, .tls = tls_});
    server->Start(Echo);
    return server;
  }

  std::string ca_, client_cert_, client_key_, other_cert_;
  TlsFiles tls_;
};

TEST_F(HttpTlsTest, ServesOverTls) {
  const auto server = Start();
  EXPECT_EQ(Get({.port = server->port(0), .path = "/t", .ca_file = ca_}).body, "GET /t");
  // Each URL as it says.
  EXPECT_EQ(Get({.port = server->port(0), .path = "/t"}).status, 0);
  EXPECT_EQ(Get({.port = server->port(1), .path = "/t"}).status, 200);
  EXPECT_EQ(Get({.port = server->port(1), .path = "/t", .ca_file = ca_}).status, 0);
}

TEST_F(HttpTlsTest, WantsAClientsCertificateOfTheCa) {
  tls_.trusted_ca_file = ca_;
  const auto server = Start();
  EXPECT_EQ(Get({.port = server->port(0), .path = "/", .ca_file = ca_}).status, 0);
  EXPECT_EQ(Get({.port = server->port(0),
                 .path = "/",
                 .ca_file = ca_,
                 .cert_file = client_cert_,
                 .key_file = client_key_})
                .status,
            200);
}

TEST_F(HttpTlsTest, ServesWithARenewedCertificate) {
  const auto server = Start();
  EXPECT_EQ(Get({.port = server->port(0), .path = "/", .ca_file = ca_}).status, 200);
  const TestCertificate next = MakeTestCertificate("next");
  const std::string next_ca = Write("next_ca.crt", next.cert_pem);
  const TestCertificate renewed = MakeTestCertificate("renewed", &next);
  (void)Write("server.crt", renewed.cert_pem);
  EXPECT_EQ(Get({.port = server->port(0), .path = "/", .ca_file = ca_}).status, 200)
      << "half of a renewal";
  (void)Write("server.key", renewed.key_pem);
  EXPECT_EQ(Get({.port = server->port(0), .path = "/", .ca_file = next_ca}).status, 200);
  EXPECT_EQ(Get({.port = server->port(0), .path = "/", .ca_file = ca_}).status, 0);
}

TEST_F(HttpTlsTest, LetsInWhomTheClientPortLetsIn) {
  const TestCertificate ca = MakeTestCertificate("ca");
  const TestCertificate own = MakeTestCertificate("server", &ca);
  tls_.trusted_ca_file = Write("ca.crt", ca.cert_pem);
  tls_.cert_file = Write("server.crt", own.cert_pem);
  tls_.key_file = Write("server.key", own.key_pem);
  tls_.crl_file = Write("crl", MakeTestCrl(ca, {5}));
  tls_.allowed_cns = {"prometheus", "other"};
  const auto server = Start();
  const auto status_of = [&](const std::string& name, long serial) {
    const TestCertificate client = MakeTestCertificate(name, &ca, {.serial = serial});
    return Get({.port = server->port(0),
                .path = "/",
                .ca_file = tls_.trusted_ca_file,
                .cert_file = Write("a.crt", client.cert_pem),
                .key_file = Write("a.key", client.key_pem)})
        .status;
  };
  EXPECT_EQ(status_of("prometheus", 4), 200);
  EXPECT_EQ(status_of("prometheus", 5), 0);
  EXPECT_EQ(status_of("somebody", 4), 0);
  (void)Write("crl", MakeTestCrl(ca, {4, 6}));
  EXPECT_EQ(status_of("prometheus", 4), 0);
  EXPECT_EQ(status_of("prometheus", 5), 200);
}

TEST_F(HttpTlsTest, NamesTheFileThatIsWrong) {
  const auto error_of = [](TlsFiles files) {
    const auto server =
        HttpServer::Listen({.urls = {UrlOf("https://127.0.0.1:0")}, .tls = std::move(files)});
    JETD_CHECK(!server.ok());
    return std::string(MessageOf(server.status()));
  };
  TlsFiles files = tls_;
  files.cert_file = "/nowhere";
  EXPECT_THAT(error_of(files), HasSubstr("--cert-file: cannot read /nowhere"));
  files = tls_;
  files.cert_file = other_cert_;
  EXPECT_THAT(error_of(files), HasSubstr("--key-file: "));
  files = tls_;
  files.trusted_ca_file = tls_.key_file;
  EXPECT_THAT(error_of(files), HasSubstr("--trusted-ca-file: "));
}

}  // namespace
}  // namespace jetd::etcdapi
