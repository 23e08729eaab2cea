// Who may ask the console for anything: whoever knows the session token, through a name that is this
// machine's own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "core/base/clock.h"
#include "core/base/ids.h"
#include "core/base/random.h"
#include "core/base/token_bucket.h"
#include "mobile-stub/console/http_server.h"

namespace keystead::console {

// 256 random bits, as 64 hex digits in the URL. What is kept is its SHA-256: a look into memory or a core
// gives nothing that opens the console, and two of them are compared in constant time.
class SessionToken {
 public:
  static SessionToken Make(RandomSource& random, SecretBytes& text);
  // From a file of mode 0600 that holds 64 hex digits and a line end, made there when it is missing.
  // FAILED_PRECONDITION: others may read it. INVALID_ARGUMENT: it holds something else.
  static absl::StatusOr<SessionToken> FromFile(const std::string& path, RandomSource& random,
                                               SecretBytes& text);

  bool Is(std::string_view presented) const;

 private:
  explicit SessionToken(const Digest& hash) : hash_(hash) {}
  static SessionToken Of(const SecretBytes& text);
  Digest hash_;
};

// Thread-safe.
class Access {
 public:
  // `host_names`: further names under which a browser may call, without a port; loopback's names are always
  // good.
  Access(SessionToken token, std::vector<std::string> host_names, const Clock* clock);

  // OK, or the answer that the peer gets. A page elsewhere that got its name resolved to loopback (DNS
  // rebinding) is told by Host; a page elsewhere that writes without reading, by Origin and Sec-Fetch-Site.
  struct Verdict {
    int status = 200;
    std::string why;
    int retry_after_seconds = 0;
  };
  Verdict CheckHost(const HttpRequest& request) const;    // for whatever is served
  Verdict CheckCaller(const HttpRequest& request) const;  // for the API; CheckHost included

 private:
  bool IsOurs(std::string_view host) const;
  Verdict CheckOrigin(const HttpRequest& request) const;

  const SessionToken token_;
  const std::vector<std::string> host_names_;
  const Clock& clock_;
  mutable absl::Mutex mutex_;
  mutable TokenBucket wrong_ ABSL_GUARDED_BY(mutex_);  // wrong tokens that are answered as such
};

}  // namespace keystead::console
