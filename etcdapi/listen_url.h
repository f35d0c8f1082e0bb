// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_LISTEN_URL_H_
#define JETD_ETCDAPI_LISTEN_URL_H_

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "etcdapi/tls_files.h"
#include "etcdapi/tls_source.h"
#include "rpc/listening_socket.h"

namespace jetd::etcdapi {

// Where the server listens, as etcd writes it: http://127.0.0.1:2379, https://[::1]:2379,
// unix:///run/jetd.sock, unixs:///run/jetd.sock (TLS).
struct ListenUrl {
  std::string text;                           // as given
  std::string flag = "--listen-client-urls";  // by which
  std::string address;                        // host:port, or unix:path
  std::string host;                           // empty for a unix socket
  int port = 0;
  bool tls = false;
  bool unix_socket = false;
  bool owner_only = false;  // the socket is for its owner (mode 0600), whatever the umask says

  // Of a unix socket.
  [[nodiscard]] std::string path() const;
};

// The error says what is wrong with it. A host is an IP address or "localhost", as etcd wants it
// for listening; port 0 lets the system choose.
[[nodiscard]] absl::StatusOr<ListenUrl> ParseListenUrl(std::string_view text);

// The URL under which others reach a server that listens there: its text, but for an address that
// stands for all of this machine (0.0.0.0, ::) the one that the machine uses towards others, or the
// loopback's if there is none.
[[nodiscard]] std::string UrlForClients(const ListenUrl& url);

// What a server needs to listen on one URL.
struct Listener {
  ListenUrl url;
  std::shared_ptr<FileTlsSource> tls;  // null: without TLS
};

// Reads the certificates, and sees whether the addresses can be had now: clients that come too
// early are refused, not kept waiting, so nothing listens yet. Files that change later count for
// the connections that come then. To be called before anything is begun that others would notice.
// One line if something is wrong: FailedPrecondition with the flag and the file, Unavailable with
// the URL and the system's word (taken, not of this machine).
[[nodiscard]] absl::StatusOr<std::vector<Listener>> PrepareListeners(
    const std::vector<ListenUrl>& urls, const TlsFiles& files);

// Unavailable as above.
[[nodiscard]] absl::StatusOr<std::unique_ptr<rpc::ListeningSocket>> Listen(
    const Listener& listener);

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_LISTEN_URL_H_
