// What changes, as it changes: Server-Sent Events (HTML Living Standard, "Server-sent events").

#include <atomic>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/time/clock.h"
#include "core/base/bytes.h"
#include "mobile-stub/console/console.h"
#include "mobile-stub/console/model_json.h"
#include "mobile-stub/console/routes.h"

namespace keystead::console {
namespace {

constexpr absl::Duration kGather =
    absl::Milliseconds(40);  // between two steps: what comes meanwhile goes together
constexpr absl::Duration kLook = absl::Milliseconds(900);
constexpr absl::Duration kBeat = absl::Seconds(10);  // of silence: then a line that says nothing

// One reader's place in the model. All it holds is how far it has read.
class Follower {
 public:
  Follower(ConsoleModel& model, std::string_view last_event_id) : model_(model) {
    const size_t dash = last_event_id.find('-');
    uint64_t version = 0;
    if (dash != std::string_view::npos && last_event_id.substr(0, dash) == model.generation() &&
        absl::SimpleAtoi(Absl(last_event_id.substr(dash + 1)), &version)) {
      version_ = version;
    }
  }

  bool Next(std::string& piece) {
    const absl::Time now = absl::Now();
    if (now < next_) absl::SleepFor(next_ - now);
    const ConsoleModel::Step step = version_ == 0 ? model_.Snapshot() : model_.Since(version_, kLook);
    if (!step.content.is_null()) {
      piece = absl::StrCat("id: ", model_.generation(), "-", step.version,
                           "\nevent: changes\ndata: ", Dump(step.content), "\n\n");
      version_ = step.version;
      next_ = absl::Now() + kGather;
      spoke_ = absl::Now();
    } else if (absl::Now() - spoke_ > kBeat) {
      piece = ":\n\n";
      spoke_ = absl::Now();
    }
    return true;
  }

 private:
  ConsoleModel& model_;
  uint64_t version_ = 0;  // 0: everything
  absl::Time next_ = absl::InfinitePast();
  absl::Time spoke_ = absl::Now();
};

// One of the places for readers, for as long as it lives.
class Place {
 public:
  static std::shared_ptr<Place> Take(std::shared_ptr<std::atomic<size_t>> taken, size_t most) {
    size_t now = taken->load();
    while (now < most) {
      if (taken->compare_exchange_weak(now, now + 1))
        return std::shared_ptr<Place>(new Place(std::move(taken)));
    }
    return nullptr;
  }
  ~Place() { --*taken_; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  explicit Place(std::shared_ptr<std::atomic<size_t>> taken) : taken_(std::move(taken)) {}
  std::shared_ptr<std::atomic<size_t>> taken_;
};

}  // namespace

void AddEventRoutes(Router& router, Console& console) {
  const auto taken = std::make_shared<std::atomic<size_t>>(0);
  router.Get("/api/v1/events", [&console, taken](HttpRequest& request, const PathParameters&) {
    const std::shared_ptr<Place> place = Place::Take(taken, console.options().event_streams);
    if (place == nullptr) {
      HttpResponse full = ErrorResponse(503, "this console is open in too many pages: close one");
      full.headers.emplace_back("Retry-After", "5");
      return full;
    }
    HttpResponse response;
    if (request.method == "HEAD") return response;
    response.type = "text/event-stream";
    const auto follower = std::make_shared<Follower>(console.model(), request.Header("last-event-id"));
    response.stream = [place, follower](std::string& piece) { return follower->Next(piece); };
    return response;
  });
}

}  // namespace keystead::console
