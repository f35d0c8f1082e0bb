// SPDX-License-Identifier: Apache-2.0
#include "rpc/request_head.h"

#include <algorithm>
#include <charconv>

#include "base/limits.h"
#include "base/strings.h"
#include "rpc/bounds.h"

namespace jetd::rpc {
namespace {

constexpr std::string_view kGrpcType = "application/grpc";

// 99,999,999 hours do not fit into 64 bits of nanoseconds; a year is as good as that.
constexpr std::chrono::hours kYear{24 * 365};

bool IsGrpcType(std::string_view type) {
  if (type.substr(0, kGrpcType.size()) != kGrpcType) return false;
  if (type.size() == kGrpcType.size()) return true;
  const char next = type[kGrpcType.size()];
  return next == '+' || next == ';';
}

std::string Quoted(std::string_view text) { return Cat('"', text, '"'); }

}  // namespace

std::optional<std::chrono::nanoseconds> ParseTimeout(std::string_view text) {
  constexpr size_t kMaxDigits = 8;
  if (text.size() < 2 || text.size() > kMaxDigits + 1) return std::nullopt;
  int64_t number = 0;
  const char* const end = text.data() + text.size() - 1;
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end || number < 0) return std::nullopt;
  const auto bounded = [number](auto unit) {
    using Unit = decltype(unit);
    const Unit most = std::chrono::duration_cast<Unit>(kYear);
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::min(Unit(number), most));
  };
  switch (text.back()) {
    case 'H':
      return bounded(std::chrono::hours());
    case 'M':
      return bounded(std::chrono::minutes());
    case 'S':
      return bounded(std::chrono::seconds());
    case 'm':
      return bounded(std::chrono::milliseconds());
    case 'u':
      return bounded(std::chrono::microseconds());
    case 'n':
      return bounded(std::chrono::nanoseconds());
    default:
      return std::nullopt;
  }
}

std::string PercentEncoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c >= ' ' && c <= '~' && c != '%') {
      out.push_back(c);
      continue;
    }
    constexpr char kHex[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(c);
    out.append({'%', kHex[byte >> 4], kHex[byte & 15]});
  }
  return out;
}

RequestHead::Texts& RequestHead::texts() {
  if (texts_ == nullptr) texts_ = std::make_unique<Texts>();
  return *texts_;
}

bool RequestHead::Add(std::string_view name, std::string_view value) {
  constexpr size_t kFieldBytes = 32;  // HTTP/2's own way to count
  bytes_ += name.size() + value.size() + kFieldBytes;
  if (bytes_ > limits::kMaxHeaderBytes) return false;
  const std::string_view echoed = value.substr(0, kMaxEchoedBytes);
  if (name == ":path") {
    method_ = methods_->Find(value);
    if (method_ == nullptr) texts().path = std::string(echoed);
  } else if (name == ":method") {
    is_post_ = value == "POST";
    if (!is_post_) texts().verb = std::string(echoed);
  } else if (name == "content-type") {
    is_grpc_ = IsGrpcType(value);
    if (!is_grpc_) texts().content_type = std::string(echoed);
  } else if (name == "grpc-timeout") {
    timeout_ = ParseTimeout(value);
    timeout_is_wrong_ = !timeout_.has_value();
  } else if (name == "grpc-encoding") {
    if (value == "identity") return true;
    encodes_ = true;
    texts().encoding = std::string(echoed);
  } else if (methods_->Keeps(name)) {
    Keep(name, value);
  }
  return true;
}

void RequestHead::Keep(std::string_view name, std::string_view value) {
  auto& kept = texts().kept;
  const auto is_known = [name](const auto& known) { return known.first == name; };
  if (std::any_of(kept.begin(), kept.end(), is_known)) return;
  kept.emplace_back(name, value.substr(0, kMaxKeptHeaderBytes));
}

Status RequestHead::UnknownMethod() const {
  const std::string_view whole = texts_ == nullptr ? std::string_view() : texts_->path;
  std::string_view path = whole;
  if (!path.empty() && path.front() == '/') path.remove_prefix(1);
  const size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) {
    return Status(Code::kUnimplemented, Cat("malformed method name: ", Quoted(whole)));
  }
  const std::string_view service = path.substr(0, slash);
  if (!methods_->HasService(service)) {
    return Status(Code::kUnimplemented, Cat("unknown service ", service));
  }
  return Status(Code::kUnimplemented,
                Cat("unknown method ", path.substr(slash + 1), " for service ", service));
}

// In grpc-go's order.
std::optional<RequestHead::Refusal> RequestHead::Check() const {
  // HTTP's own codes, for clients that do not speak gRPC.
  constexpr int kBadRequest = 400, kMethodNotAllowed = 405, kUnsupportedType = 415;
  if (!is_grpc_) {
    const std::string_view type = texts_ == nullptr ? std::string_view() : texts_->content_type;
    return Refusal{
        kUnsupportedType,
        Status(Code::kInvalidArgument, Cat("invalid gRPC request content-type ", Quoted(type)))};
  }
  if (timeout_is_wrong_) {
    return Refusal{kBadRequest, Status(Code::kInternal, "malformed grpc-timeout")};
  }
  if (!is_post_) {
    const std::string_view verb = texts_ == nullptr ? std::string_view() : texts_->verb;
    return Refusal{kMethodNotAllowed,
                   Status(Code::kInternal, Cat("Received a HEADERS frame with :method ",
                                               Quoted(verb), " which should be POST"))};
  }
  if (method_ == nullptr) return Refusal{.status = UnknownMethod()};
  if (encodes_) {
    return Refusal{.status = Status(Code::kUnimplemented,
                                    Cat("grpc: Decompressor is not installed for grpc-encoding ",
                                        Quoted(texts_->encoding)))};
  }
  return std::nullopt;
}

std::string_view RequestHead::metadata(std::string_view name) const {
  if (texts_ == nullptr) return {};
  for (const auto& [known, value] : texts_->kept) {
    if (known == name) return value;
  }
  return {};
}

}  // namespace jetd::rpc
