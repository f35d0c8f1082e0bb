// SPDX-License-Identifier: Apache-2.0
#include "base/testing/test_certificate.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>

#include "base/check.h"

namespace jetd {
namespace {

template <typename T, void (*Free)(T*)>
struct Deleter {
  void operator()(T* object) const { Free(object); }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY, EVP_PKEY_free>>;
using Cert = std::unique_ptr<X509, Deleter<X509, X509_free>>;
using Crl = std::unique_ptr<X509_CRL, Deleter<X509_CRL, X509_CRL_free>>;
using Time = std::unique_ptr<ASN1_TIME, Deleter<ASN1_TIME, ASN1_TIME_free>>;
using Integer = std::unique_ptr<ASN1_INTEGER, Deleter<ASN1_INTEGER, ASN1_INTEGER_free>>;

constexpr long kDaySeconds = 24L * 60 * 60;

struct BioDeleter {
  void operator()(BIO* bio) const { BIO_free_all(bio); }
};
using Bio = std::unique_ptr<BIO, BioDeleter>;

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

void AddExtension(X509* cert, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
  JETD_CHECK(extension != nullptr) << value;
  X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
}

Key KeyOf(const TestCertificate& certificate) {
  const Bio bio(BIO_new_mem_buf(certificate.key_pem.data(), -1));
  return Key(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
}

Cert CertOf(const TestCertificate& certificate) {
  const Bio bio(BIO_new_mem_buf(certificate.cert_pem.data(), -1));
  return Cert(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

}  // namespace

TestCertificate MakeTestCertificate(const std::string& common_name, const TestCertificate* issuer,
                                    const TestCertificateOptions& options) {
  const Key key(EVP_EC_gen("P-256"));
  const Cert cert(X509_new());
  X509_set_version(cert.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), issuer == nullptr ? 1 : options.serial);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -kDaySeconds);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), kDaySeconds);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(cert.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  Key issuer_key;
  Cert issuer_cert;
  if (issuer != nullptr) {
    issuer_key = KeyOf(*issuer);
    issuer_cert = CertOf(*issuer);
  }
  X509* const signer = issuer == nullptr ? cert.get() : issuer_cert.get();
  X509_set_issuer_name(cert.get(), X509_get_subject_name(signer));
  if (issuer == nullptr) AddExtension(cert.get(), signer, NID_basic_constraints, "CA:TRUE");
  AddExtension(cert.get(), signer, NID_subject_alt_name, options.names.c_str());
  JETD_CHECK(X509_sign(cert.get(), issuer == nullptr ? key.get() : issuer_key.get(), EVP_sha256()) >
             0)
      << "X509_sign";
  const Bio cert_out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(cert_out.get(), cert.get());
  const Bio key_out(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return {TextOf(cert_out.get()), TextOf(key_out.get())};
}

std::string MakeTestCrl(const TestCertificate& issuer, const std::vector<long>& serials) {
  const Crl crl(X509_CRL_new());
  X509_CRL_set_version(crl.get(), 1);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(CertOf(issuer).get()));
  const Time now(X509_gmtime_adj(nullptr, -kDaySeconds));
  const Time next(X509_gmtime_adj(nullptr, kDaySeconds));
  X509_CRL_set1_lastUpdate(crl.get(), now.get());
  X509_CRL_set1_nextUpdate(crl.get(), next.get());
  for (const long number : serials) {
    const Integer serial(ASN1_INTEGER_new());
    ASN1_INTEGER_set(serial.get(), number);
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, serial.get());
    X509_REVOKED_set_revocationDate(entry, now.get());
    X509_CRL_add0_revoked(crl.get(), entry);
  }
  JETD_CHECK(X509_CRL_sign(crl.get(), KeyOf(issuer).get(), EVP_sha256()) > 0) << "X509_CRL_sign";
  const Bio out(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(out.get(), crl.get());
  return TextOf(out.get());
}

}  // namespace jetd
