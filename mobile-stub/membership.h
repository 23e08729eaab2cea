// Changing who belongs: commits made, handed to the registry by compare-and-set, and entered once seen
// (settlement.h).
#pragma once

#include <functional>
#include <optional>

#include "core/sealing/commit_secrets.h"
#include "mobile-stub/settlement.h"

namespace keystead::mobile {

// Takes the private part of the recovery key as text, once, before anything depends on it. An error stops the
// pairing.
using RecoverySink = std::function<absl::Status(const SecretBytes& text)>;

// Makes this app's identity and commit 0, the owner alone, unless that was done before. Under LockChanges().
absl::Status EnsureInstantiation(const Engine& engine, const RecoverySink& recovery);

// What to change, given the newest membership: asked again when somebody else's commit came first. None: it
// is as it should be.
using Change = std::optional<CommitRequest>;
using ChangeFn = std::function<absl::StatusOr<Change>(const Member& member)>;

// Settles what earlier runs left open, makes the next commit, and enters it once the registry shows it. Under
// LockChanges(). Errors as of Settle(): after UNAVAILABLE the change may come true at any time.
absl::StatusOr<Member> ChangeMembership(const Engine& engine, const ChangeFn& change);

// For a change that the registry keeps refusing: puts one that changes nothing into its place. Which of the
// two comes true is the registry's to say, and either is entered; a hostile one could show each to somebody,
// which members report as a fork. So nothing does this by itself.
enum class Withdrawal { kNothing, kWithdrawn, kTooLate };  // kTooLate: it came true
absl::StatusOr<Withdrawal> WithdrawPending(const Engine& engine);

// One courier more: a transport identity that carries for others and holds no keys.
absl::StatusOr<Member> AddCourier(const Engine& engine, const SpiffeId& courier);
// Out with a member, by its name (members.h); everybody else gets new keys.
absl::StatusOr<Member> RemoveMember(const Engine& engine, std::string_view name);

}  // namespace keystead::mobile
