#include "mobile-stub/console/access.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "core/base/bytes.h"
#include "core/base/status.h"
#include "core/crypto/hash.h"

namespace keystead::console {
namespace {

constexpr size_t kTokenBytes = 32;
constexpr size_t kTokenDigits = 2 * kTokenBytes;
constexpr std::string_view kBearer = "Bearer ";
constexpr double kWrongPerSecond = 1;
constexpr double kWrongAtOnce = 10;

bool IsHexDigit(uint8_t c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

absl::Status WriteNew(const std::string& path, const SecretBytes& text) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot create the token file ", path));
  const ByteView bytes = text.ExposeSecret();
  const bool whole = write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()) &&
                     write(fd, "\n", 1) == 1 && fsync(fd) == 0;
  const absl::Status status =
      whole ? absl::OkStatus()
            : absl::ErrnoToStatus(errno, absl::StrCat("cannot write the token file ", path));
  close(fd);
  if (!whole) unlink(path.c_str());
  return status;
}

absl::StatusOr<SecretBytes> ReadToken(int fd, const std::string& path) {
  struct stat facts = {};
  if (fstat(fd, &facts) != 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot look at ", path));
  if ((facts.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("others may read the token file ", path, ": chmod 600 it, and delete what is in it"));
  }
  SecretBytes text(kTokenDigits + 2);
  const ssize_t size = read(fd, text.MutableSecret().data(), text.size());
  SecretBytes token = size < static_cast<ssize_t>(kTokenDigits) ? SecretBytes() : text.Slice(0, kTokenDigits);
  const bool ends =
      size == static_cast<ssize_t>(kTokenDigits) ||
      (size == static_cast<ssize_t>(kTokenDigits) + 1 && text.ExposeSecret()[kTokenDigits] == '\n');
  if (!ends || !std::ranges::all_of(token.ExposeSecret(), IsHexDigit)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the token file ", path, " does not hold 64 hex digits: delete it, and it is made anew"));
  }
  return token;
}

// Without the port; in brackets for IPv6.
std::string_view NameOf(std::string_view host) {
  const size_t bracket = host.starts_with('[') ? host.find(']') : 0;
  if (bracket == std::string_view::npos) return {};
  const size_t colon = host.find(':', bracket);
  return host.substr(0, colon);
}

}  // namespace

SessionToken SessionToken::Of(const SecretBytes& text) {
  return SessionToken(crypto::Sha256(text.ExposeSecret()));
}

SessionToken SessionToken::Make(RandomSource& random, SecretBytes& text) {
  const SecretBytes raw = random.Secret(kTokenBytes);
  text = SecretBytes(kTokenDigits);
  constexpr std::string_view kDigits = "0123456789abcdef";
  size_t at = 0;
  for (const uint8_t byte : raw.ExposeSecret()) {
    text.MutableSecret()[at++] = static_cast<uint8_t>(kDigits[byte >> 4]);
    text.MutableSecret()[at++] = static_cast<uint8_t>(kDigits[byte & 15]);
  }
  return Of(text);
}

absl::StatusOr<SessionToken> SessionToken::FromFile(const std::string& path, RandomSource& random,
                                                    SecretBytes& text) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) {
    const SessionToken token = Make(random, text);
    KS_RETURN_IF_ERROR(WriteNew(path, text));
    return token;
  }
  if (fd < 0) return absl::ErrnoToStatus(errno, absl::StrCat("cannot read the token file ", path));
  absl::StatusOr<SecretBytes> read = ReadToken(fd, path);
  close(fd);
  KS_RETURN_IF_ERROR(read.status());
  text = *std::move(read);
  return Of(text);
}

bool SessionToken::Is(std::string_view presented) const {
  return ConstantTimeEquals(crypto::Sha256(AsBytes(presented)).view(), hash_.view());
}

Access::Access(SessionToken token, std::vector<std::string> host_names, const Clock* clock)
    : token_(std::move(token)), host_names_(std::move(host_names)), clock_(*clock) {
  absl::MutexLock lock(&mutex_);
  wrong_.Configure(kWrongPerSecond, kWrongAtOnce, clock_.Uptime());
}

bool Access::IsOurs(std::string_view host) const {
  const std::string_view name = NameOf(host);
  constexpr std::array<std::string_view, 3> kLoopback = {"127.0.0.1", "localhost", "[::1]"};
  return std::ranges::find(kLoopback, name) != kLoopback.end() ||
         std::ranges::find(host_names_, name) != host_names_.end();
}

Access::Verdict Access::CheckHost(const HttpRequest& request) const {
  if (request.CountHeader("host") == 1 && IsOurs(request.Header("host"))) return {};
  return {421, "call this console by the address that it printed, not by another name", 0};
}

Access::Verdict Access::CheckOrigin(const HttpRequest& request) const {
  const std::string_view site = request.Header("sec-fetch-site");
  const std::string_view origin = request.Header("origin");
  const bool same_site = site.empty() || site == "same-origin" || site == "none";
  const bool same_origin = origin.empty() || origin == absl::StrCat("http://", Absl(request.Header("host")));
  if (same_site && same_origin && request.CountHeader("origin") <= 1) return {};
  return {403, "another page may not ask this console for anything", 0};
}

Access::Verdict Access::CheckCaller(const HttpRequest& request) const {
  for (Verdict verdict : {CheckHost(request), CheckOrigin(request)}) {
    if (verdict.status != 200) return verdict;
  }
  const std::string_view authorization = request.Header("authorization");
  if (request.CountHeader("authorization") == 1 && authorization.starts_with(kBearer) &&
      token_.Is(authorization.substr(kBearer.size()))) {
    return {};
  }
  absl::MutexLock lock(&mutex_);
  const absl::Duration wait = wrong_.Wait(clock_.Uptime());
  if (wait > absl::ZeroDuration()) {
    return {429, "too many wrong tokens",
            static_cast<int>(absl::ToInt64Seconds(absl::Ceil(wait, absl::Seconds(1))))};
  }
  wrong_.Take(1);
  return {401,
          "the session token is missing or not that of this console: open the whole address that it printed",
          0};
}

}  // namespace keystead::console
