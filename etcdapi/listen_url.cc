// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/listen_url.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";  // as gRPC writes it

template <typename... Pieces>
absl::Status Invalid(const Pieces&... pieces) {
  return MakeStatus(absl::StatusCode::kInvalidArgument, pieces...);
}

bool IsIpAddress(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

absl::Status ParseHostPort(std::string_view rest, ListenUrl* url) {
  if (!rest.empty() && rest.back() == '/') rest.remove_suffix(1);
  if (rest.find('/') != std::string_view::npos) return Invalid("it has a path");
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos || rest.find(']', colon) != std::string_view::npos) {
    return Invalid("the port is missing");
  }
  std::string_view host = rest.substr(0, colon);
  const std::string_view port = rest.substr(colon + 1);
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  url->host = std::string(host);
  const auto parsed = std::from_chars(port.data(), port.data() + port.size(), url->port);
  if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size() || url->port < 0 ||
      url->port > 65535) {
    return Invalid("\"", port, "\" is no port");
  }
  if (url->host != "localhost" && !IsIpAddress(url->host)) {
    return Invalid("\"", host, "\" is no IP address (nor localhost)");
  }
  const bool v6 = url->host.find(':') != std::string::npos;
  url->address = v6 ? Cat("[", url->host, "]:", port) : Cat(url->host, ":", port);
  return absl::OkStatus();
}

// The address of this machine from which it would send to `there`, a documentation address that
// nobody has: nothing is sent. Empty if there is no way to it.
std::string OwnAddressTowards(const char* there) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_DGRAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(there, "9", &hints, &found) != 0) return "";
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owned(found, &freeaddrinfo);
  const int fd = socket(found->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  sockaddr_storage own{};
  socklen_t size = sizeof(own);
  char text[NI_MAXHOST] = "";
  if (connect(fd, found->ai_addr, found->ai_addrlen) != 0 ||
      getsockname(fd, reinterpret_cast<sockaddr*>(&own), &size) != 0 ||
      getnameinfo(reinterpret_cast<sockaddr*>(&own), size, text, sizeof(text), nullptr, 0,
                  NI_NUMERICHOST) != 0) {
    text[0] = '\0';
  }
  close(fd);
  return text;
}

}  // namespace

std::string ListenUrl::path() const { return address.substr(kUnixPrefix.size()); }

absl::StatusOr<ListenUrl> ParseListenUrl(std::string_view text) {
  ListenUrl url;
  url.text = std::string(text);
  const size_t separator = text.find("://");
  const std::string_view scheme = text.substr(0, separator);
  if (separator == std::string_view::npos ||
      (scheme != "http" && scheme != "https" && scheme != "unix" && scheme != "unixs")) {
    return Invalid("\"", text, "\": it must start with http://, https://, unix:// or unixs://");
  }
  const std::string_view rest = text.substr(separator + 3);
  url.tls = scheme == "https" || scheme == "unixs";
  url.unix_socket = scheme == "unix" || scheme == "unixs";
  if (url.unix_socket) {
    if (rest.empty()) return Invalid("\"", text, "\": the path is missing");
    url.address = Cat(kUnixPrefix, rest);
    return url;
  }
  const absl::Status status = ParseHostPort(rest, &url);
  if (!status.ok()) return Invalid("\"", text, "\": ", MessageOf(status));
  return url;
}

std::string UrlForClients(const ListenUrl& url) {
  in_addr v4{};
  in6_addr v6{};
  const bool any4 = inet_pton(AF_INET, url.host.c_str(), &v4) == 1 && v4.s_addr == INADDR_ANY;
  const bool any6 = inet_pton(AF_INET6, url.host.c_str(), &v6) == 1 && IN6_IS_ADDR_UNSPECIFIED(&v6);
  if (!any4 && !any6) return url.text;
  std::string host = OwnAddressTowards("192.0.2.1");
  if (any6 && host.empty()) host = OwnAddressTowards("2001:db8::1");
  if (host.empty()) host = any4 ? "127.0.0.1" : "::1";
  const bool bracketed = host.find(':') != std::string::npos;
  return Cat(url.tls ? "https://" : "http://", bracketed ? "[" : "", host, bracketed ? "]" : "",
             ":", url.port);
}

absl::StatusOr<std::vector<Listener>> PrepareListeners(const std::vector<ListenUrl>& urls,
                                                       const TlsFiles& files) {
  std::vector<Listener> listeners;
  std::shared_ptr<FileTlsSource> tls;
  for (const ListenUrl& url : urls) {
    if (auto socket = Listen({.url = url, .tls = nullptr}); !socket.ok()) return socket.status();
    if (url.tls && tls == nullptr) {
      auto opened = FileTlsSource::Open(files, "clients");
      if (!opened.ok()) return opened.status();
      tls = *std::move(opened);
    }
    listeners.push_back({.url = url, .tls = url.tls ? tls : nullptr});
  }
  return listeners;
}

absl::StatusOr<std::unique_ptr<rpc::ListeningSocket>> Listen(const Listener& listener) {
  using Socket = rpc::ListeningSocket;
  const ListenUrl& url = listener.url;
  auto socket = url.unix_socket
                    ? Socket::OpenUnix(url.path(), url.owner_only ? Socket::Access::kOwner
                                                                  : Socket::Access::kUmask)
                    : Socket::OpenTcp(url.host, url.port);
  if (!socket.ok()) {
    return MakeStatus(absl::StatusCode::kUnavailable, "cannot listen on ", url.text, ": ",
                      MessageOf(socket.status()), "; choose another --listen-client-urls",
                      absl::IsAlreadyExists(socket.status()) ? ", or stop who has it" : "");
  }
  if (listener.tls != nullptr) (*socket)->UseTls(listener.tls);
  return socket;
}

}  // namespace jetd::etcdapi
