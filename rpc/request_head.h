// SPDX-License-Identifier: Apache-2.0
#ifndef JETD_RPC_REQUEST_HEAD_H_
#define JETD_RPC_REQUEST_HEAD_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rpc/methods.h"
#include "rpc/status.h"

namespace jetd::rpc {

// "100m" is 100 milliseconds: at most 8 digits and a unit of H, M, S, m, u or n. None: it is not
// of this form. What is longer than a clock holds is the longest it holds.
[[nodiscard]] std::optional<std::chrono::nanoseconds> ParseTimeout(std::string_view text);

// A text as grpc-message carries it: bytes that are no visible ASCII, and %, as %XX.
[[nodiscard]] std::string PercentEncoded(std::string_view text);

// RequestHead is what the header fields of a call say, as they come. What is wrong with them is
// told by Check, in grpc-go's words, with the first bytes of what it quotes. Texts are few and
// bounded, and go with Forget. One thread.
class RequestHead {
 public:
  // Why a call is not opened.
  struct Refusal {
    int http_status = 200;
    Status status;
  };

  explicit RequestHead(const Methods* methods) : methods_(methods) {}

  // A field, in the client's order. False: there are too many bytes of them.
  [[nodiscard]] bool Add(std::string_view name, std::string_view value);
  // All fields are there.
  [[nodiscard]] std::optional<Refusal> Check() const;

  // After Check has found nothing wrong.
  [[nodiscard]] const Methods::Method& method() const { return *method_; }
  [[nodiscard]] std::optional<std::chrono::nanoseconds> timeout() const { return timeout_; }
  // "" where there is none of this name; the first of several.
  [[nodiscard]] std::string_view metadata(std::string_view name) const;

  // The client has named an encoding of messages other than identity.
  [[nodiscard]] bool encodes() const { return encodes_; }
  // Lets go of all texts: Check and metadata are not called any more.
  void Forget() { texts_.reset(); }

 private:
  // What most calls have none of.
  struct Texts {
    std::string verb;          // where it is not POST
    std::string path;          // where nobody serves it
    std::string content_type;  // where it is not gRPC's
    std::string encoding;      // where it is not identity
    std::vector<std::pair<std::string, std::string>> kept;
  };

  [[nodiscard]] Texts& texts();
  void Keep(std::string_view name, std::string_view value);
  [[nodiscard]] Status UnknownMethod() const;

  const Methods* const methods_;
  const Methods::Method* method_ = nullptr;
  size_t bytes_ = 0;
  bool is_post_ = false;
  bool is_grpc_ = false;
  bool timeout_is_wrong_ = false;
  bool encodes_ = false;
  std::optional<std::chrono::nanoseconds> timeout_;
  std::unique_ptr<Texts> texts_;
};

}  // namespace jetd::rpc

#endif  // JETD_RPC_REQUEST_HEAD_H_
