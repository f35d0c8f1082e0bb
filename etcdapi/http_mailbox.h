// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_ETCDAPI_HTTP_MAILBOX_H_
#define JETD_ETCDAPI_HTTP_MAILBOX_H_

#include <openssl/ssl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/mutex.h"
#include "etcdapi/http_server.h"
#include "rpc/http1.h"

namespace jetd::etcdapi {

struct CloseHttp1Client {
  void operator()(rpc::Http1Client* client) const {
    SSL_free(client->ssl);
    if (client->fd >= 0) close(client->fd);
    delete client;
  }
};
// A client that rpc/ has handed over: closed, unless somebody takes out what it is made of.
using HttpClient = std::unique_ptr<rpc::Http1Client, CloseHttp1Client>;

// HttpMailbox is what an HTTP server's thread is sent, which looks when its descriptor is readable.
// Any thread.
class HttpMailbox {
 public:
  struct Mail {
    std::vector<std::pair<uint64_t, HttpReply>> replies;  // by the number of the request
    std::vector<HttpClient> clients;
    bool closed = false;
  };

  HttpMailbox() : fd_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) { JETD_CHECK(fd_ >= 0) << "eventfd"; }
  ~HttpMailbox() { close(fd_); }
  HttpMailbox(const HttpMailbox&) = delete;
  HttpMailbox& operator=(const HttpMailbox&) = delete;

  [[nodiscard]] int fd() const { return fd_; }
  // What comes after Close is dropped.
  void Put(uint64_t request, HttpReply reply) {
    MutexLock lock(mutex_);
    if (mail_.closed) return;
    mail_.replies.emplace_back(request, std::move(reply));
    Ring();
  }
  void Put(HttpClient client) {
    MutexLock lock(mutex_);
    if (mail_.closed) return;
    mail_.clients.push_back(std::move(client));
    Ring();
  }
  void Close() {
    MutexLock lock(mutex_);
    mail_.closed = true;
    Ring();
  }
  // What came since the last call.
  [[nodiscard]] Mail Take() {
    uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = read(fd_, &count, sizeof(count));
    MutexLock lock(mutex_);
    Mail mail = std::move(mail_);
    mail_ = {};
    mail_.closed = mail.closed;
    return mail;
  }

 private:
  void Ring() const {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = write(fd_, &one, sizeof(one));
  }

  const int fd_;
  Mutex mutex_;
  Mail mail_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace jetd::etcdapi

#endif  // JETD_ETCDAPI_HTTP_MAILBOX_H_
