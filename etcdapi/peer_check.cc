// SPDX-License-Identifier: Apache-2.0
#include "etcdapi/peer_check.h"

#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/pem_files.h"
#include "base/strings.h"

namespace jetd::etcdapi {
namespace {

constexpr std::chrono::seconds kLookEach{1};

struct Free {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_CRL* list) const { X509_CRL_free(list); }
  void operator()(unsigned char* text) const { OPENSSL_free(text); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

Owned<BIO> Over(std::string_view text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

std::string SerialOf(const ASN1_INTEGER* serial) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)),
                     static_cast<size_t>(ASN1_STRING_length(serial)));
}

bool IsListed(const X509* certificate, const std::set<std::string>& serials) {
  return serials.count(SerialOf(X509_get0_serialNumber(certificate))) > 0;
}

// All lists of a file, in PEM, or the one in DER. No list is an error.
absl::StatusOr<std::set<std::string>> ReadRevoked(const std::string& path) {
  const auto text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  std::vector<Owned<X509_CRL>> lists;
  const Owned<BIO> bio = Over(*text);
  if (text->find("-----BEGIN") == std::string::npos) {
    lists.emplace_back(d2i_X509_CRL_bio(bio.get(), nullptr));
  } else {
    Owned<X509_CRL> list;
    do {
      list.reset(PEM_read_bio_X509_CRL(bio.get(), nullptr, nullptr, nullptr));
      lists.push_back(std::move(list));
    } while (lists.back() != nullptr);
    if (lists.size() > 1) lists.pop_back();
  }
  ERR_clear_error();
  std::set<std::string> revoked;
  for (const auto& list : lists) {
    if (list == nullptr) {
      return MakeStatus(absl::StatusCode::kFailedPrecondition, path,
                        " holds no list of revoked certificates");
    }
    const STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(list.get());
    for (int i = 0; i < sk_X509_REVOKED_num(entries); ++i) {
      revoked.insert(SerialOf(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(entries, i))));
    }
  }
  return revoked;
}

// The last one, as etcd takes it.
std::string CommonNameOf(X509* certificate) {
  const X509_NAME* subject = X509_get_subject_name(certificate);
  int last = -1;
  for (int next = -1; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, next)) >= 0;) {
    last = next;
  }
  if (last < 0) return "";
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, last)));
  const Owned<unsigned char> owned(text);
  return size < 0 ? ""
                  : std::string(reinterpret_cast<const char*>(text), static_cast<size_t>(size));
}

constexpr std::string_view kRevoked = "the client's certificate is revoked (--client-crl-file)";

absl::Status Unauthenticated(std::string_view why) {
  return MakeStatus(absl::StatusCode::kUnauthenticated, "jetd: ", why);
}

// At a handshake, where whoever has the connection says more in the log.
absl::Status Refused(X509* leaf, std::string_view why) {
  return Unauthenticated(Cat(why, ", common name \"", CommonNameOf(leaf), "\""));
}

}  // namespace

absl::StatusOr<std::shared_ptr<PeerCheck>> PeerCheck::Open(const TlsFiles& files) {
  if (files.crl_file.empty() && files.allowed_hostnames.empty() && files.allowed_cns.empty()) {
    return nullptr;
  }
  std::shared_ptr<PeerCheck> check(new PeerCheck(files));
  if (absl::Status status = check->Begin(); !status.ok()) return status;
  return check;
}

absl::Status PeerCheck::Begin() {
  if (files_.crl_file.empty()) return absl::OkStatus();
  MutexLock lock(mutex_);
  // Before it is read: what changes meanwhile is seen at the next look.
  stamp_ = StampOf(files_.crl_file);
  looked_ = std::chrono::steady_clock::now();
  auto revoked = ReadRevoked(files_.crl_file);
  if (!revoked.ok()) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition,
                      "--client-crl-file: ", MessageOf(revoked.status()));
  }
  revoked_ = *std::move(revoked);
  return absl::OkStatus();
}

void PeerCheck::Follow(std::chrono::nanoseconds at_most_each) {
  if (files_.crl_file.empty()) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < at_most_each) return;
  looked_ = now;
  const FileStamp stamp = StampOf(files_.crl_file);
  if (stamp == stamp_) return;
  stamp_ = stamp;
  auto revoked = ReadRevoked(files_.crl_file);
  if (!revoked.ok()) {
    log::Warn("the changed --client-crl-file is not taken over, the list before stays: {}",
              MessageOf(revoked.status()));
    return;
  }
  revoked_ = *std::move(revoked);
  log::Info("the changed --client-crl-file is taken over: {} revoked certificates",
            revoked_.size());
}

bool PeerCheck::HasAllowedName(X509* leaf) const {
  constexpr unsigned kFlags =
      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  const std::vector<std::string>& cns = files_.allowed_cns;
  if (!cns.empty()) return std::find(cns.begin(), cns.end(), CommonNameOf(leaf)) != cns.end();
  return std::any_of(files_.allowed_hostnames.begin(), files_.allowed_hostnames.end(),
                     [leaf](const std::string& name) {
                       return X509_check_host(leaf, name.data(), name.size(), kFlags, nullptr) ==
                                  1 ||
                              X509_check_ip_asc(leaf, name.c_str(), 0) == 1;
                     });
}

bool PeerCheck::IsRevoked(X509* leaf, const STACK_OF(X509) * chain) const {
  if (revoked_.empty()) return false;
  bool revoked = IsListed(leaf, revoked_);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    revoked = revoked || IsListed(sk_X509_value(chain, i), revoked_);
  }
  return revoked;
}

absl::Status PeerCheck::Check(X509* leaf, const STACK_OF(X509) * chain) {
  {
    MutexLock lock(mutex_);
    Follow(std::chrono::nanoseconds(0));
    if (IsRevoked(leaf, chain)) return Refused(leaf, kRevoked);
  }
  if (files_.allowed_cns.empty() && files_.allowed_hostnames.empty()) return absl::OkStatus();
  if (HasAllowedName(leaf)) return absl::OkStatus();
  return Refused(leaf,
                 files_.allowed_cns.empty()
                     ? "the client's certificate has no name of --client-cert-allowed-hostname"
                     : "the client's certificate has no name of --client-cert-allowed-cn");
}

absl::Status PeerCheck::CheckCall(X509* leaf, const STACK_OF(X509) * chain) {
  if (files_.crl_file.empty()) return absl::OkStatus();
  MutexLock lock(mutex_);
  Follow(kLookEach);
  return IsRevoked(leaf, chain) ? Unauthenticated(kRevoked) : absl::OkStatus();
}

}  // namespace jetd::etcdapi
