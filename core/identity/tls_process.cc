#include "core/identity/tls_process.h"

#include <openssl/conf.h>
#include <openssl/ssl.h>

#include <string_view>

#include "absl/strings/str_cat.h"
#include "core/base/mutants.h"
#include "core/identity/openssl_handles.h"
#include "core/identity/x509.h"

namespace keystead {
namespace {

// `system_default` is applied inside SSL_CTX_new, so it reaches the contexts that gRPC makes.
constexpr std::string_view kConfiguration =
    "openssl_conf = keystead\n"
    "[keystead]\n"
    "ssl_conf = keystead_ssl\n"
    "[keystead_ssl]\n"
    "system_default = keystead_tls\n"
    "[keystead_tls]\n"
    "Protocol = -TLSv1.2\n"
    "NumTickets = 0\n";
constexpr std::string_view kWithTickets =  // the mutant's; the last of two settings counts
    "NumTickets = 2\n";

struct ConfDeleter {
  void operator()(CONF* conf) const { NCONF_free(conf); }
};

}  // namespace

absl::Status PinTls13Process() {
  // First the machine's own configuration (providers, policy of its operator), which OpenSSL would otherwise
  // load by itself later and over ours.
  if (OPENSSL_init_ssl(OPENSSL_INIT_LOAD_CONFIG, nullptr) != 1) {
    return absl::InternalError(absl::StrCat("OpenSSL does not start: ", x509::DrainErrors()));
  }
  const size_t tickets = MutantActive(Mutant::kResumption) ? 2 : 0;
  const std::string configuration =
      absl::StrCat(Absl(kConfiguration), tickets == 0 ? "" : Absl(kWithTickets));
  const BioPtr text(BIO_new_mem_buf(configuration.data(), static_cast<int>(configuration.size())));
  const std::unique_ptr<CONF, ConfDeleter> conf(NCONF_new(nullptr));
  long error_line = 0;
  if (text == nullptr || conf == nullptr || NCONF_load_bio(conf.get(), text.get(), &error_line) != 1 ||
      CONF_modules_load(conf.get(), nullptr, 0) != 1) {
    return absl::InternalError(absl::StrCat("TLS settings refused: ", x509::DrainErrors()));
  }
  const SslCtxPtr probe(SSL_CTX_new(TLS_method()));
  if (probe == nullptr) return absl::InternalError(absl::StrCat("no TLS context: ", x509::DrainErrors()));
  if ((SSL_CTX_get_options(probe.get()) & SSL_OP_NO_TLSv1_2) == 0 ||
      SSL_CTX_get_num_tickets(probe.get()) != tickets) {
    return absl::InternalError("TLS settings did not take: TLS 1.2 or session tickets are still on");
  }
  return absl::OkStatus();
}

}  // namespace keystead
