// Broken on purpose. A build of the `mutants` preset switches one protection off when KEYSTEAD_MUTANT=name is
// in the environment, so that a test can show it notices. In every other build the switch is a constant
// `false` and the broken branch does not exist.
#pragma once

#include <string_view>

namespace keystead {

enum class Mutant {
  kAadOmitsStream,     // external AAD of a record leaves the stream id out
  kConstantNonce,      // every record of a stream has the nonce of sequence 0
  kOneKeyForAll,       // the stream key does not depend on instantiation, topic, sender or stream
  kReplayWindowOff,    // a reader delivers what it has already seen
  kAckBeforeSync,      // a hop acknowledges before its log is durable
  kTenantFilterOff,    // the backend does not compare the tenant of a request with that of the peer
  kFairQueueOff,       // the backend's writer takes tasks as they come, whoever brings them
  kIssuerBindingOff,   // a leaf counts whichever registered CA signed it, not only its own tenant's
  kRosterIgnored,      // the rosters of a peer's own tenant let everybody publish and read everything
  kExtraListener,      // every program listens on a port that nobody declared
  kResetKeepsKey,      // a device alone that is reset keeps key and records
  kAadOmitsInstance,   // external AAD of a record leaves the instantiation out
  kServerOnlyTls,      // servers complete a handshake with a peer that shows no certificate
  kResumption,         // servers issue session tickets
  kServerNameIgnored,  // a client talks to whomever its authorities vouch for, whoever that is
  kRevocationIgnored,  // what is revoked or denied counts as before, at servers and at clients
  kEventDropped,       // what was not permitted is refused and not reported
  kOneRpcOpen,         // one call to the backend is everybody's, whatever their role
  kTombstoneOnly,      // erasing an instantiation marks it, and deletes nothing
  kGatewayHasKeys,     // an owner gives a gateway the reading keys of all that devices measure
  kLiveForEver,        // who once answered a reader's probe is live from then on
  kRollbackUnnoticed,  // a reader that reads a hop anew misses nothing that it had read before
  kRangeCheckRemoved,  // a mean takes whatever is said, possible or not
  kNoSealing,  // records carry their plaintext: the unprotected control of every "nothing leaked" search
};

#ifdef KEYSTEAD_MUTANTS
bool MutantActive(Mutant mutant);  // reads the environment once
#else
constexpr bool MutantActive(Mutant) { return false; }
#endif

// Empty when the build has no mutants or none is selected. An unknown name ends the process with exit code 2.
std::string_view ActiveMutantName();

}  // namespace keystead
