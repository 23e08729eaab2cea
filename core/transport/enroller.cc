#include "core/transport/enroller.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "core/base/status.h"
#include "core/identity/enrollment.h"
#include "core/identity/file_access.h"
#include "core/observe/log.h"
#include "core/transport/channel_options.h"
#include "core/transport/status_mapping.h"
#include "core/transport/tls_credentials.h"
#include "keystead/v1/enrollment.grpc.pb.h"

namespace keystead {
namespace {

constexpr size_t kMaxChainBytes = 32 << 10;
constexpr absl::Duration kSuspectedAgain = absl::Minutes(1);
constexpr absl::Duration kHopAway = absl::Seconds(5);    // one identity that fails must not hold up all
constexpr absl::Duration kLookAgain = absl::Minutes(1);  // the clock may be set, the files exchanged

// When the file was written, which is when the certificate began its service: what an issuer writes into
// notBefore may lie before that by any time.
absl::Time WrittenAt(const std::string& path) {
  struct stat info {};
  return stat(path.c_str(), &info) == 0 ? absl::TimeFromTimespec(info.st_mtim) : absl::InfinitePast();
}

bool HopIsAway(const absl::Status& status) {
  return absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
}

}  // namespace

absl::Status DialWithNewCertificate(HopChannel channel, const std::string& next_hop,
                                    const CertificateFiles& files, const PeerExpectation& server) {
  KS_ASSIGN_OR_RETURN(const auto credentials,
                      MakeChannelCredentials({.files = files, .refresh_seconds = 0}, server));
  channel.Exchange(DialChannel(next_hop, credentials, {.own_connection = true}));
  return absl::OkStatus();
}

// One identity and when it is looked at again.
struct Enroller::Entry {
  explicit Entry(const Options& options) : backoff(options.backoff, options.random) {}
  EnrollingIdentity identity;
  SpiffeId enrollee;
  Backoff backoff;
  absl::Time due = absl::InfinitePast();
  std::optional<CertificateInfo> good;  // what the files hold, if it is good now
  Digest told;                          // the certificate that on_certificate was called for
  bool distrusted = false;              // good, but the hop does not accept it
  absl::Time suspected_at = absl::InfinitePast();
};

Enroller::Enroller(const Options& options)
    : options_(options),
      hop_backoff_({options.backoff.initial, std::min(options.backoff.max, kHopAway)}, options.random) {}
Enroller::~Enroller() { Stop(); }

absl::StatusOr<std::unique_ptr<Enroller>> Enroller::Create(const Options& options,
                                                           std::vector<EnrollingIdentity> identities) {
  std::unique_ptr<Enroller> out(new Enroller(options));
  for (EnrollingIdentity& identity : identities) {
    // The request is thrown away: what counts is that one can be made.
    KS_ASSIGN_OR_RETURN(const PreparedEnrollment prepared,
                        PrepareEnrollment(identity.factory, options.clock->Now()));
    const auto info = ValidateCertificateFiles(identity.operational, options.clock->Now());
    if (info.ok() && info->id != prepared.enrollee)
      return absl::FailedPreconditionError(absl::StrCat(identity.operational.chain, " is for ",
                                                        info->id.str(), ", ", identity.factory.chain, " for ",
                                                        prepared.enrollee.str()));
    out->enrollees_.push_back(prepared.enrollee);
    const std::filesystem::path folder = std::filesystem::path(identity.operational.chain).parent_path();
    std::error_code error;
    std::filesystem::create_directories(folder, error);
    if (error) return absl::PermissionDeniedError(absl::StrCat(folder.string(), ": ", error.message()));
    auto entry = std::make_unique<Entry>(options);
    entry->enrollee = prepared.enrollee;
    entry->identity = std::move(identity);
    out->entries_.push_back(std::move(entry));
  }
  return out;
}

double Enroller::Fraction() {
  std::array<uint8_t, 2> bytes{};
  options_.random->Fill(bytes);
  return (bytes[0] << 8 | bytes[1]) / 65536.0;
}

// What the files hold now, and when to renew it.
void Enroller::Look(Entry& entry) {
  const absl::Time now = options_.clock->Now();
  const absl::StatusOr<CertificateInfo> info = ValidateCertificateFiles(entry.identity.operational, now);
  entry.good.reset();
  entry.due = now;
  if (!info.ok() || info->id != entry.enrollee) return;
  entry.good = *info;
  if (info->fingerprint != entry.told) {
    entry.told = info->fingerprint;
    entry.distrusted = false;
    if (entry.identity.on_certificate) entry.identity.on_certificate(*info);
  }
  const absl::Time since =
      std::clamp(WrittenAt(entry.identity.operational.chain), info->not_before, info->not_after);
  const absl::Duration life = info->not_after - since;
  entry.due = since + life * (2.0 / 3 + Fraction() / 12);
}

absl::StatusOr<std::string> Enroller::Ask(const Entry& entry, const std::string& factory_chain,
                                          ByteView proof) {
  const bool shows_factory = !entry.good.has_value() || entry.distrusted;
  CertificateFiles shown = shows_factory ? entry.identity.factory : entry.identity.operational;
  shown.roots = entry.identity.operational.roots;
  shown.denied_servers = entry.identity.operational.denied_servers;
  KS_ASSIGN_OR_RETURN(const auto credentials,
                      MakeChannelCredentials({.files = shown, .refresh_seconds = 0, .clock = options_.clock},
                                             options_.server));
  const auto channel = DialChannel(options_.next_hop, credentials, {.own_connection = true});
  v1::EnrollRequest request;
  request.set_factory_chain(factory_chain);
  request.set_proof(proof.data(), proof.size());
  v1::EnrollResponse response;
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + options_.call_limit));
  {
    absl::MutexLock lock(&mutex_);
    if (stopping_) return absl::CancelledError("stopping");
    open_ = &context;
  }
  const grpc::Status status = v1::Enrollment::NewStub(channel)->Enroll(&context, request, &response);
  {
    absl::MutexLock lock(&mutex_);
    open_ = nullptr;
  }
  KS_RETURN_IF_ERROR(FromGrpc(status));
  if (response.chain().size() > kMaxChainBytes)
    return absl::InvalidArgumentError("the answer is larger than any chain");
  return std::move(*response.mutable_chain());
}

absl::Status Enroller::Attempt(Entry& entry) {
  const absl::Time now = options_.clock->Now();
  KS_ASSIGN_OR_RETURN(const PreparedEnrollment prepared, PrepareEnrollment(entry.identity.factory, now));
  KS_ASSIGN_OR_RETURN(const std::string chain,
                      Ask(entry, prepared.request.factory_chain, prepared.request.proof));
  KS_ASSIGN_OR_RETURN(const CertificateInfo info, CheckEnrolled(prepared, chain, options_.clock->Now()));
  KS_RETURN_IF_ERROR(
      InstallCertificatePair(entry.identity.operational, chain, prepared.key_pem, options_.clock->Now()));
  Log(LogLevel::kInfo, "certificate_installed",
      {{"peer", info.id.str()},
       {"serial", info.serial},
       {"not_after", absl::FormatTime(absl::RFC3339_sec, info.not_after, absl::UTCTimeZone())}});
  return absl::OkStatus();
}

void Enroller::Failed(Entry& entry, const absl::Status& status) {
  const absl::Duration wait = entry.backoff.NextAfter(status);
  // The operational certificate may be the one that is not accepted: the factory's is tried next.
  if (absl::IsUnauthenticated(status) && entry.good.has_value()) entry.distrusted = true;
  if (HopIsAway(status)) {
    hop_away_until_ = options_.clock->Now() + hop_backoff_.Next();
  }
  entry.due = options_.clock->Now() + wait;
  Log(LogLevel::kWarning, "enrollment_failed",
      {{"peer", entry.enrollee.str()},
       {"reason", Std(status.message())},
       {"code", static_cast<int>(status.code())},
       {"again_in_s", absl::ToDoubleSeconds(wait)}});
  absl::MutexLock lock(&mutex_);
  ++stats_.failed;
}

absl::Time Enroller::Turn() {
  std::vector<size_t> suspects;
  {
    absl::MutexLock lock(&mutex_);
    suspects = std::exchange(suspects_, {});
  }
  const absl::Time now = options_.clock->Now();
  for (const size_t suspect : suspects) {
    Entry& entry = *entries_[suspect];
    if (now - entry.suspected_at < kSuspectedAgain || !entry.good.has_value()) continue;
    entry.suspected_at = now;
    entry.distrusted = true;
    entry.due = now;
  }
  absl::Time next = absl::InfiniteFuture();
  for (const std::unique_ptr<Entry>& each : entries_) {
    Entry& entry = *each;
    {
      absl::MutexLock lock(&mutex_);
      if (stopping_) return next;
    }
    if (entry.due <= options_.clock->Now() && !entry.distrusted) Look(entry);  // others install, too
    if (entry.due <= options_.clock->Now() && options_.clock->Now() >= hop_away_until_) {
      const absl::Status status = Attempt(entry);
      if (status.ok()) {
        entry.backoff.Reset();
        hop_backoff_.Reset();
        Look(entry);
        absl::MutexLock lock(&mutex_);
        ++stats_.installed;
      } else {
        Failed(entry, status);
      }
    }
    next = std::min(next, std::max(entry.due, hop_away_until_));
  }
  return next;
}

bool Enroller::AwaitAll(absl::Duration patience, const std::function<bool()>& stop) {
  const absl::Time until = absl::Now() + patience;
  const auto all_good = [this] {
    return std::all_of(entries_.begin(), entries_.end(), [](const auto& e) { return e->good.has_value(); });
  };
  while (true) {
    const absl::Time next = Turn();
    if (all_good()) return true;
    if (stop() || absl::Now() >= until) return false;
    absl::SleepFor(std::clamp(next - options_.clock->Now(), absl::Milliseconds(10), absl::Milliseconds(100)));
  }
}

void Enroller::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Enroller::Run() {
  const auto woken = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !suspects_.empty(); };
  while (true) {
    const absl::Time next = Turn();
    const absl::Duration wait = std::clamp(next - options_.clock->Now(), absl::Milliseconds(10), kLookAgain);
    absl::MutexLock lock(&mutex_);
    mutex_.AwaitWithTimeout(absl::Condition(&woken), wait);
    if (stopping_) return;
  }
}

void Enroller::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    if (open_ != nullptr) open_->TryCancel();
  }
  if (thread_.joinable()) thread_.join();
}

void Enroller::Suspect(size_t identity) {
  absl::MutexLock lock(&mutex_);
  if (std::find(suspects_.begin(), suspects_.end(), identity) == suspects_.end())
    suspects_.push_back(identity);
}

Enroller::Stats Enroller::GetStats() const {
  absl::MutexLock lock(&mutex_);
  return stats_;
}

}  // namespace keystead
