// How a tenant misbehaves.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "tests/load/population.h"
#include "tests/load/timeline.h"

namespace keystead::load {

enum class Behaviour : uint8_t {
  kNone,               // silent: what two phases of the same load differ by themselves
  kRate10,             // ten times the ordinary rate
  kRate100,            // a hundred times
  kHuge,               // records of the largest size
  kTiny,               // the smallest records, each in a group of its own
  kSlowReaders,        // subscribers that do not read
  kBacklog,            // what an outage of a minute has left, at once
  kHandshakeStorm,     // new connections all the time
  kSubscriptionChurn,  // subscriptions that come and go
  kCommitStorm,        // membership commits as fast as they are taken
};
std::span<const Behaviour> AllBehaviours();
std::string_view BehaviourName(Behaviour behaviour);      // "rate100", "slow-readers"
std::string_view BehaviourSentence(Behaviour behaviour);  // for people
std::optional<Behaviour> BehaviourFromName(std::string_view name);

// The most that a neighbour does, all its devices together, so that no run does more to a machine than it
// says.
struct NeighbourLimits {
  double records_per_second = 30'000;
  double arrivals_per_second = 12'000;  // each may be a request of its own, and costs the generator as much
  double huge_per_second = 256;
  uint64_t backlog_records = 200'000;
  double backlog_seconds = 60;
  double handshakes_per_second = 20;  // whole ones, with a call
  double hellos_per_second = 600;     // begun and dropped: dear for the server, cheap for who does it
  double commits_per_second = 1000;
  size_t unread_connections = 8;
  size_t unread_subscriptions = 32;  // on each of them
  size_t churners = 16;
  int64_t churn_pause_ns = 10'000'000;  // of each, between two subscriptions
};

struct BehaviourOutcome {
  RecordCounts records;
  std::map<int, uint64_t> ended;     // Publish calls that the server ended, by status code
  uint64_t attempts = 0;             // handshakes, subscriptions or commits
  std::map<int, uint64_t> answered;  // of them, by status code
};
nlohmann::json ToJson(const BehaviourOutcome& outcome);

// From the beginning of the timeline's neighbour phase to its end; returns then. Its devices also do what
// ordinary ones do, but for kNone.
absl::StatusOr<BehaviourOutcome> Behave(Population& population, Behaviour behaviour, const Timeline& timeline,
                                        const NeighbourLimits& limits = NeighbourLimits());

}  // namespace keystead::load
