// Keeps the operational certificates of a process good: gets them with the factory identity at the next hop,
// and new ones before they lapse. docs/decisions/0025-enrollment.md; the proof is core/identity/enrollment.h.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "core/base/clock.h"
#include "core/base/random.h"
#include "core/identity/certificate_files.h"
#include "core/identity/spiffe_id.h"
#include "core/transport/backoff.h"
#include "core/transport/grpc_names.h"
#include "core/transport/hop_channel.h"

namespace keystead {

// Exchanges `channel` for one with a connection of its own that shows the certificate in `files` as it is
// now. The statuses of ValidateCertificateFiles; then the channel stays.
absl::Status DialWithNewCertificate(HopChannel channel, const std::string& next_hop,
                                    const CertificateFiles& files, const PeerExpectation& server);

struct EnrollingIdentity {
  CertificateFiles factory;      // its roots are not looked at
  CertificateFiles operational;  // where what comes back is installed; roots: the next hop's authorities
  // The files hold another certificate than before. THREAD: the enroller's, or AwaitAll's.
  std::function<void(const CertificateInfo&)> on_certificate;
};

// A certificate is renewed when a third of the time is left for which it was good when its file was written,
// or up to a twelfth later, so that those of many products that began together come apart. TLS shows the
// operational certificate while it is good, otherwise the factory's; the hop may be a gateway or a balancer.
// What the hop answers is installed only when the tenant's own CA stands behind it (CheckEnrolled). Attempts
// that fail are repeated ever later, at a limit not before the hop asks for it (limit_status.h); a hop that
// is not there is left alone for some seconds by all.
class Enroller {
 public:
  struct Options {
    std::string next_hop;  // host:port
    PeerExpectation server;
    BackoffOptions backoff{.initial = absl::Seconds(1), .max = absl::Minutes(5)};
    absl::Duration call_limit = absl::Seconds(10);
    const Clock* clock = &Clock::System();
    RandomSource* random = &RandomSource::System();
  };
  struct Stats {
    uint64_t installed = 0;
    uint64_t failed = 0;  // attempts
  };

  // Nothing is asked for yet; the folders of the operational certificates are made. The statuses of
  // PrepareEnrollment for a factory identity that is not one, or not any more; FAILED_PRECONDITION when an
  // operational certificate is somebody else's.
  static absl::StatusOr<std::unique_ptr<Enroller>> Create(const Options& options,
                                                          std::vector<EnrollingIdentity> identities);
  ~Enroller();  // Stop()
  Enroller(const Enroller&) = delete;
  Enroller& operator=(const Enroller&) = delete;

  // Whom the certificates are for, in the order of the identities.
  const std::vector<SpiffeId>& enrollees() const { return enrollees_; }

  // Before Start. One attempt for each that has no good certificate, and more until all have one, `patience`
  // is over or `stop` says so; whether all have one. THREAD: the caller's.
  bool AwaitAll(absl::Duration patience, const std::function<bool()>& stop);
  void Start();
  void Stop();  // idempotent; not from a callback

  // The hop does not accept this certificate, although it has not lapsed: its issuer may have been withdrawn.
  // Asks for another with the factory identity, once a minute at most. Thread-safe.
  void Suspect(size_t identity);

  Stats GetStats() const;

 private:
  struct Entry;
  explicit Enroller(const Options& options);

  void Look(Entry& entry);
  absl::Status Attempt(Entry& entry);
  absl::StatusOr<std::string> Ask(const Entry& entry, const std::string& factory_chain, ByteView proof);
  void Failed(Entry& entry, const absl::Status& status);
  absl::Time Turn();  // does what is due; when something is due again
  double Fraction();
  void Run();  // THREAD: thread_

  const Options options_;
  std::vector<SpiffeId> enrollees_;
  std::vector<std::unique_ptr<Entry>> entries_;  // of one thread at a time, but for what mutex_ guards
  Backoff hop_backoff_;
  absl::Time hop_away_until_ = absl::InfinitePast();
  std::thread thread_;

  mutable absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<size_t> suspects_ ABSL_GUARDED_BY(mutex_);
  grpc::ClientContext* open_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Stats stats_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keystead
