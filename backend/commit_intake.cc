#include "backend/commit_intake.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "backend/commit_job.h"
#include "backend/rows.h"
#include "core/base/status.h"
#include "core/observe/security_event.h"
#include "core/transport/limit_names.h"
#include "core/transport/limit_status.h"

namespace keystead::backend {
namespace {

// In events about who has nothing to do with an instantiation.
constexpr std::string_view kService = "registry: ";

// What a peer is told about a commit that does not verify. One answer, whether the instantiation is there or
// not: only its owner's signature gets a caller further.
constexpr absl::Duration kComeBackForInstantiations = absl::Minutes(1);

absl::Status TooManyCalls() {
  return LimitReached(peer_limits::kRegistryCalls, peer_limits::kComeBackForPlace);
}

absl::Status DoesNotVerify(const absl::Status& why) { return absl::InvalidArgumentError(why.message()); }

}  // namespace

CommitIntake::CommitIntake(const Parts& parts, const Options& options)
    : parts_(parts),
      options_(options),
      submits_(options.submits),
      fetches_(options.fetches),
      tries_(options.tries_of_peer, options.clock),
      commits_(options.commits, options.clock),
      of_tenant_(options.commits_of_tenant, options.clock),
      founders_(options.new_instantiations_of_peer, options.clock),
      creations_(options.new_instantiations, options.clock) {}

void CommitIntake::Refuse(const Job& job, const absl::Status& why) const {
  SecurityEvent event;
  event.kind = absl::IsAlreadyExists(why)       ? SecurityEventKind::kFork
               : absl::IsResourceExhausted(why) ? SecurityEventKind::kLimitExceeded
               : absl::IsNotFound(why)          ? SecurityEventKind::kNotPermitted
                                                : SecurityEventKind::kCommitRefused;
  event.tenant = job.target.named.str();
  event.instantiation = job.id.ToHex();
  event.topic = Topic::Keyring().str();
  event.peer = job.caller->uri();
  event.detail = absl::StrCat(Absl(absl::IsNotFound(why) ? kService : ""), why.message());
  Report(event);
}

void CommitIntake::Submit(const Target& target, std::string bundle, SubmitAnswer answer) {
  auto job = std::make_shared<Job>(target);
  job->bundle = std::move(bundle);
  job->answer = std::move(answer);
  absl::Status room = TakeRate(tries_, job->caller->uri(), peer_limits::kSubmits);
  if (room.ok()) {
    job->place = submits_.Enter(job->tenant.name().str(), job->caller->uri());
    if (job->place == nullptr) room = TooManyCalls();
  }
  if (!room.ok()) {
    Refuse(*job, room);
    return job->answer(room);
  }
  parts_.executor->Post(job->tenant.name().str(), [this, job] { Verify(job); });
}

// The commit stands in the chain already. The owner's signature covers the wraps through their hash; the
// acceptances beside it say nothing new, and a courier may have changed them.
absl::Status CommitIntake::Repeat(Job& job, std::shared_ptr<const MembershipChain> chain,
                                  const SignedCommit& known, const CommitBundle& bundle) const {
  if (WrapsHash(bundle.wraps) != known.wraps_hash)
    return absl::InvalidArgumentError("wraps are not the ones signed for");
  job.accepted.epoch = known.body.epoch;
  job.effect.repeated = true;
  KS_ASSIGN_OR_RETURN(const auto row, parts_.store->Get(job.tenant.number(), kCommitTable,
                                                        CommitKey(job.id, job.accepted.epoch)));
  job.repeated = row.has_value();  // else it is in a batch that is not committed yet: wait behind it
  job.chain = std::move(chain);
  return absl::OkStatus();
}

// Verifies all that needs no place in the order. What it is measured against may be out of date by the time
// of Prepare, which then refuses.
absl::Status CommitIntake::Apply(Job& job) {
  if (job.target.elsewhere) {
    KS_RETURN_IF_ERROR(parts_.instantiations->ChainOf(job.tenant, job.id).status());
    return NoSuchInstantiation();
  }
  const absl::StatusOr<CommitBundle> bundle = CommitBundle::ParseContent(AsBytes(job.bundle));
  if (!bundle.ok()) return DoesNotVerify(bundle.status());
  // The one encoding: what is stored is what every member would write.
  if (AsChars(bundle->EncodeContent()) != job.bundle)
    return absl::InvalidArgumentError("commit bundle is not in its one encoding");
  job.accepted.hash = bundle->CommitHash();
  KS_ASSIGN_OR_RETURN(const auto known, parts_.instantiations->ChainOf(job.tenant, job.id));
  for (uint64_t epoch = 0; known != nullptr && epoch <= known->epoch(); ++epoch) {
    if (const SignedCommit& commit = *known->At(epoch); commit.hash == job.accepted.hash)
      return Repeat(job, known, commit, *bundle);
  }
  auto chain = known == nullptr ? std::make_shared<MembershipChain>(job.tenant.name(), job.id)
                                : std::make_shared<MembershipChain>(*known);
  absl::StatusOr<CommitEffect> effect = chain->Apply(*bundle);
  if (absl::IsUnauthenticated(effect.status()) || (known == nullptr && absl::IsAborted(effect.status())))
    return DoesNotVerify(effect.status());
  if (!effect.ok()) return effect.status();
  job.effect = *std::move(effect);
  job.accepted.epoch = chain->epoch();
  job.chain = std::move(chain);
  // Before it costs the tenant anything; Prepare asks again, in the writer's order.
  if (job.accepted.epoch == 0) KS_RETURN_IF_ERROR(NotErased(*parts_.store, job));
  KS_RETURN_IF_ERROR(TakeRate(commits_, job.id.ToString(), peer_limits::kCommits));
  KS_RETURN_IF_ERROR(TakeRate(of_tenant_, job.tenant.name().str(), peer_limits::kCommits));
  return job.accepted.epoch > 0 ? absl::OkStatus() : MakeKeys(job);
}

// What was erased is not founded again by who has kept its first commit, and answers as if it had never been.
template <class Source>
absl::Status CommitIntake::NotErased(Source& source, const Job& job) {
  KS_ASSIGN_OR_RETURN(const auto gone, source.Get(job.tenant.number(), kGoneTable, job.id.ToString()));
  return gone.has_value() ? NoSuchInstantiation() : absl::OkStatus();
}

// A new instantiation's keys come into being here and not on the writer's thread, which must not wait for the
// keystore.
absl::Status CommitIntake::MakeKeys(const Job& job) const {
  if (parts_.ciphers == nullptr) return absl::OkStatus();
  KS_ASSIGN_OR_RETURN(const auto cipher, parts_.ciphers->Of(job.tenant.number()));
  return cipher->Ready(cipher->CompartmentOf(job.id));
}

void CommitIntake::Verify(const std::shared_ptr<Job>& job) {
  absl::Status status = Apply(*job);
  if (status.ok() && job->repeated) return job->answer(job->accepted);
  if (status.ok()) {
    status =
        parts_.queue->Submit(job->tenant, storage::MakeTask(
                                              job->bundle.size() + sizeof(Job),
                                              [this, job](storage::Transaction& transaction) {
                                                absl::Status prepared = Prepare(transaction, *job);
                                                if (!prepared.ok())
                                                  parts_.log->Finish(job->changes, prepared);
                                                return prepared;
                                              },
                                              [this, job](const absl::Status& done) { Done(*job, done); }));
    if (status.ok()) return;
  }
  Refuse(*job, status);
  // A fork is another's commit that came first, like any lost race.
  job->answer(absl::IsAlreadyExists(status) ? absl::AbortedError(status.message()) : status);
}

// False: this very commit stands there already.
absl::StatusOr<bool> CommitIntake::CompareAndSet(storage::Transaction& transaction, const Job& job) {
  const uint32_t tenant = job.tenant.number();
  const uint64_t epoch = job.accepted.epoch;
  KS_RETURN_IF_ERROR(NotErased(transaction, job));
  KS_ASSIGN_OR_RETURN(const auto taken, transaction.Get(tenant, kCommitTable, CommitKey(job.id, epoch)));
  if (taken.has_value()) {
    KS_ASSIGN_OR_RETURN(const CommitRow stored, DecodeCommit(*taken));
    if (stored.hash == job.accepted.hash) return false;
    return absl::AbortedError("another commit with this parent came first");
  }
  // It was seen in memory, and the batch it was in has failed since: verified, but not with its effect.
  if (job.effect.repeated) return absl::UnavailableError("the same commit has just failed");
  if (epoch == 0) return true;
  KS_ASSIGN_OR_RETURN(const auto parent, transaction.Get(tenant, kCommitTable, CommitKey(job.id, epoch - 1)));
  if (!parent.has_value()) return absl::AbortedError("the parent is not the head");
  KS_ASSIGN_OR_RETURN(const CommitRow head, DecodeCommit(*parent));
  if (head.hash != *job.chain->head().body.parent) return absl::AbortedError("the parent is not the head");
  return true;
}

absl::Status CommitIntake::CountNew(storage::Transaction& transaction, const Job& job) {
  const uint32_t tenant = job.tenant.number();
  KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(tenant, kCountTable, kInstantiationCount));
  uint64_t count = 0;
  if (row.has_value()) {
    KS_ASSIGN_OR_RETURN(count, DecodeNumber(*row));
  }
  const uint64_t own = job.tenant.account().limits().instantiations;
  if (count >= (own > 0 ? own : options_.instantiations_per_tenant)) {
    job.tenant.account().CountRefused(limit_names::kInstantiations);
    return LimitReached(limit_names::kInstantiations, kComeBackForInstantiations);
  }
  // First the peer's own share, so that one cannot use up the tenant's.
  KS_RETURN_IF_ERROR(TakeRate(founders_, job.caller->uri(), peer_limits::kNewInstantiations));
  KS_RETURN_IF_ERROR(TakeRate(creations_, job.tenant.name().str(), peer_limits::kNewInstantiations));
  transaction.Put(tenant, kCountTable, kInstantiationCount, EncodeNumber(count + 1));
  return absl::OkStatus();
}

absl::Status CommitIntake::RegisterDevices(storage::Transaction& transaction, Job& job) {
  const uint32_t tenant = job.tenant.number();
  for (const Acceptance& acceptance : job.effect.acceptances) {
    const DeviceRow next{acceptance.reset_counter, job.id, DigestOf(acceptance)};
    const std::string key = acceptance.device_ckt.ToString();
    KS_ASSIGN_OR_RETURN(const auto row, transaction.Get(tenant, kDeviceTable, key));
    if (row.has_value()) {
      KS_ASSIGN_OR_RETURN(const DeviceRow last, DecodeDevice(*row));
      const bool same = last.acceptance == next.acceptance;
      if (!same && next.reset_counter <= last.reset_counter)
        return absl::FailedPreconditionError("a device has accepted an owner at this or a later reset");
      if (last.instantiation != job.id) {
        transaction.Put(tenant, kEvictedTable, EvictedKey(last.instantiation, acceptance.device_ckt), "");
        job.evicted.emplace_back(last.instantiation, acceptance.device_ckt);
      }
    }
    transaction.Put(tenant, kDeviceTable, key, EncodeDevice(next));
    transaction.Delete(tenant, kEvictedTable, EvictedKey(job.id, acceptance.device_ckt));
  }
  return absl::OkStatus();
}

// What members read of the chain: the bundle as a record of the keyring topic, in the order of epochs.
absl::Status CommitIntake::AppendToKeyring(storage::Transaction& transaction, Job& job) {
  GroupHeader header;
  header.tenant = job.tenant.name();
  header.instantiation = job.id;
  header.topic = Topic::Keyring();
  header.sender = job.chain->head().owner;
  header.epoch = job.accepted.epoch;
  GroupBuilder builder(header);
  KS_RETURN_IF_ERROR(builder.Append(0, AsBytes(job.bundle)));
  const Payload bytes = builder.Take();
  GroupHeaderCache headers;
  KS_ASSIGN_OR_RETURN(const GroupView view, GroupView::Parse(*bytes, headers));
  KS_ASSIGN_OR_RETURN(const AppendOutcome outcome,
                      parts_.log->Append(transaction, job.tenant.number(), view, bytes, job.changes));
  if (!outcome.refused.empty()) return absl::InternalError("the keyring refused a commit");
  if (outcome.stored != nullptr) job.stored = {1, static_cast<int64_t>(outcome.stored->size())};
  return absl::OkStatus();
}

absl::Status CommitIntake::Prepare(storage::Transaction& transaction, Job& job) {
  KS_ASSIGN_OR_RETURN(const bool is_new, CompareAndSet(transaction, job));
  if (!is_new) return absl::OkStatus();
  if (job.accepted.epoch == 0) {
    KS_RETURN_IF_ERROR(CountNew(transaction, job));
  }
  KS_RETURN_IF_ERROR(RegisterDevices(transaction, job));
  const absl::Time now = options_.clock->Now();
  KS_RETURN_IF_ERROR(AppendToKeyring(transaction, job));
  transaction.Put(job.tenant.number(), kCommitTable, CommitKey(job.id, job.accepted.epoch),
                  EncodeCommit({now, job.accepted.hash, job.bundle}));
  if (parts_.audit != nullptr) {
    KS_RETURN_IF_ERROR(parts_.audit->Append(
        transaction, AuditBook(job.tenant),
        {job.caller->uri(), "commit_accepted", job.id.ToHex(),
         absl::StrCat("epoch ", job.accepted.epoch, ", commit ", job.accepted.hash.ToHex())}));
  }
  if (job.stored.groups > 0) KS_RETURN_IF_ERROR(job.tenant.account().Add(transaction, job.stored));

  // From here on nothing fails: tasks prepared after this one meet the new roster.
  job.entered = true;
  parts_.instantiations->Enter(job.tenant, job.chain, now);
  if (RosterGate* const gate = parts_.instantiations->InMemory(job.tenant, job.id)) {
    for (const Acceptance& acceptance : job.effect.acceptances) gate->Readmit(acceptance.device_ckt);
  }
  for (const auto& [id, ckt] : job.evicted) {
    if (RosterGate* const gate = parts_.instantiations->InMemory(job.tenant, id)) gate->Evict(ckt);
  }
  return absl::OkStatus();
}

void CommitIntake::Done(Job& job, const absl::Status& status) {
  parts_.log->Finish(job.changes, status);
  if (job.entered) job.tenant.account().Settle(status, job.stored);
  if (!status.ok()) {
    if (job.entered) {
      parts_.instantiations->Forget(job.tenant, job.id);
      for (const auto& [id, ckt] : job.evicted) parts_.instantiations->Forget(job.tenant, id);
    }
    Refuse(job, status);
    job.answer(status);
    return;
  }
  if (job.entered) job.tenant.account().CountCommit();
  parts_.hop->EndStale(job.tenant, job.id);
  for (const auto& [id, ckt] : job.evicted) parts_.hop->EndStale(job.tenant, id);
  job.answer(job.accepted);
}

void CommitIntake::Fetch(const Target& target, uint64_t from_epoch, const FetchAnswer& answer) {
  const CallPlaces::Place place = fetches_.Enter(target.tenant.name().str(), target.caller->uri());
  if (place == nullptr) return answer(TooManyCalls());
  const auto tenant = std::make_shared<TenantView>(target.tenant);
  const auto admit = [this, target, tenant](storage::Transaction& transaction) -> absl::Status {
    const SubscribeDemand keyring{target.named, target.id, {Topic::Keyring()}};
    KS_ASSIGN_OR_RETURN(*tenant, parts_.hop->AdmitReader(transaction, *target.caller, keyring, kService));
    return absl::OkStatus();
  };
  const auto read = [this, tenant, id = target.id, from_epoch, answer, place](const absl::Status& admitted) {
    if (!admitted.ok()) return answer(admitted);
    parts_.executor->Post(tenant->name().str(), [this, tenant, id, from_epoch, answer, place] {
      absl::StatusOr<std::vector<std::string>> bundles = ReadBundles(*tenant, id, from_epoch);
      if (!bundles.ok()) return answer(bundles.status());
      answer(Fetched{*std::move(bundles), place});
    });
  };
  const absl::Status submitted = parts_.queue->Submit(
      target.tenant, storage::MakeTask(sizeof(Job), admit, read, storage::Durability::kBuffered));
  if (!submitted.ok()) answer(submitted);
}

absl::StatusOr<std::vector<std::string>> CommitIntake::ReadBundles(const TenantView& tenant,
                                                                   const InstantiationId& id,
                                                                   uint64_t from_epoch) const {
  std::vector<std::string> bundles;
  size_t bytes = 0;
  for (uint64_t epoch = from_epoch; bytes < options_.fetch_bytes; ++epoch) {
    KS_ASSIGN_OR_RETURN(const auto row,
                        parts_.store->Get(tenant.number(), kCommitTable, CommitKey(id, epoch)));
    if (!row.has_value()) break;
    KS_ASSIGN_OR_RETURN(CommitRow commit, DecodeCommit(*row));
    if (!bundles.empty() && bytes + commit.bundle.size() > options_.fetch_bytes) break;
    bytes += commit.bundle.size();
    bundles.push_back(std::move(commit.bundle));
  }
  return bundles;
}

}  // namespace keystead::backend
