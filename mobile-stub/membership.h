// Changing who belongs: commits made, handed to the registry by compare-and-set, and entered.
#pragma once

#include <functional>

#include "core/sealing/commit_secrets.h"
#include "mobile-stub/engine.h"

namespace keystead::mobile {

// Takes the private part of the recovery key as text, once, before anything depends on it. An error stops the
// pairing.
using RecoverySink = std::function<absl::Status(const SecretBytes& text)>;

// Makes this app's identity and commit 0, the owner alone, unless that was done before. Under LockChanges().
absl::Status EnsureInstantiation(const Engine& engine, const RecoverySink& recovery);

// What to change, given the newest membership: asked again when somebody else's commit came first.
using ChangeFn = std::function<absl::StatusOr<CommitRequest>(const Member& member)>;

// Makes the commit after the registry's head and enters it. Under LockChanges(). An answer that was lost is
// asked for again at the next change: the commit is stored before it is sent. FAILED_PRECONDITION when the
// registry holds commits that this state cannot open.
absl::StatusOr<Member> ChangeMembership(const Engine& engine, const ChangeFn& change);

// One courier more: a transport identity that carries for others and holds no keys.
absl::StatusOr<Member> AddCourier(const Engine& engine, const SpiffeId& courier);
// Out with a member, by its name (members.h); everybody else gets new keys.
absl::StatusOr<Member> RemoveMember(const Engine& engine, std::string_view name);

// Enters a pending commit that is known to stand in the registry, or the one already entered by another
// process. `bundle` is what was found there. Under Begin(). False: it is not ours.
absl::StatusOr<bool> EnterPending(const AppState& state, const CommitBundle& bundle, Member& member);

}  // namespace keystead::mobile
