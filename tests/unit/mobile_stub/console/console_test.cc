// The console over a real home: what it serves is what openapi.json says, and nothing secret is in it.
#include "mobile-stub/console/console.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <set>

#include "absl/strings/escaping.h"
#include "absl/time/clock.h"
#include "mobile-stub/console/page_files.h"
#include "tests/unit/mobile_stub/console/peer.h"
#include "tests/unit/mobile_stub/console/schema.h"
#include "tests/unit/mobile_stub/home.h"

namespace keystead::console {
namespace {

using mobile::testing::Home;
using mobile::testing::Must;
using nlohmann::json;
using testing::Browser;
using testing::Follower;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using testing::Schema;

const Schema& Description() {
  static const auto* const schema = new Schema(Schema::FromFile(
      std::string(std::getenv("KEYSTEAD_SOURCE_DIR")) + "/mobile-stub/console/openapi.json"));
  return *schema;
}

std::string LabelText(const mobile::testing::TestDevice& device) {
  return ToString(Must(membership::EncodeLabel(device.Label())).ExposeSecret());
}

class ConsoleTest : public ::testing::Test {
 protected:
  void TearDown() override {
    if (console_ != nullptr) EXPECT_TRUE(console_->Stop(testing::kPatience).ok());
  }

  void Serve(ConsoleOptions options = {}) {
    engine_ = home_.App();
    options.join_patience = testing::kPatience;
    options.watch.probe_interval = absl::Milliseconds(300);
    options.watch.save_interval = absl::Milliseconds(200);
    options.watch.limits.gap_grace = absl::Milliseconds(300);
    SecretBytes token;
    SessionToken session = SessionToken::Make(RandomSource::System(), token);
    console_ = Must(Console::Start(*engine_, std::move(options), std::move(session)));
    browser_ = std::make_unique<Browser>(console_->port(), ToString(token.ExposeSecret()));
  }
  void ServeHome() {
    device_ = home_.NewDevice("thermo");
    home_.Pair({device_.get()});
    Serve();
  }
  ConsoleOptions WithRecovery() {
    ConsoleOptions options;
    options.recovery = [this](const SecretBytes& text) {
      recovery_ = ToString(text.ExposeSecret());
      return absl::OkStatus();
    };
    options.recovery_place = "a test";
    return options;
  }

  std::string MemberOf(const std::string& device) {
    const json home = browser_->Get("/api/v1/home").json();
    for (const json& member : home["membership"]["members"]) {
      if (member["device"] == device) return member["member"].get<std::string>();
    }
    ADD_FAILURE() << "no member " << device << " in " << home.dump();
    return "";
  }
  // The task's last form.
  json Ended(const Browser::Answer& begun) {
    EXPECT_EQ(begun.status, 202) << begun.body;
    const json id = begun.json().value("task", json());
    Follower follower(browser_.get());
    json found;
    follower.Until([&](const json& step) {
      for (const json& task : step["tasks"]) {
        if (task["id"] == id && task["state"] != "running") found = task;
      }
      return !found.is_null();
    });
    return found;
  }
  void ExpectDescribed(const json& value, const std::string& schema) {
    EXPECT_THAT(Description().Check(value, {{"$ref", "#/components/schemas/" + schema}}), IsEmpty());
  }
  void AwaitReading(double value) {
    Follower follower(browser_.get());
    follower.Until([&](const json& step) {
      for (const json& device : step["devices"]) {
        for (const json& channel : device["channels"]) {
          if (channel["value"] == value) return true;
        }
      }
      return false;
    });
  }

  Home home_;
  std::unique_ptr<mobile::testing::TestDevice> device_;
  std::unique_ptr<mobile::Engine> engine_;
  std::unique_ptr<Console> console_;
  std::unique_ptr<Browser> browser_;
  std::string recovery_;
};

TEST_F(ConsoleTest, WhatIsServedIsDescribedAndWhatIsDescribedIsServed) {
  Serve();
  std::set<std::string> served, described;
  for (const Router::Route& route : console_->router().routes()) {
    if (route.audience == Audience::kOwner) served.insert(route.method + " " + route.path);
  }
  for (const auto& [path, methods] : Description().document()["paths"].items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string upper = method;
      std::ranges::transform(upper, upper.begin(), [](char c) { return static_cast<char>(std::toupper(c)); });
      described.insert(upper + " " + path);
    }
  }
  EXPECT_EQ(served, described);
}

TEST_F(ConsoleTest, NothingIsArmedThatMightMeetAnotherHome) {
  Serve();  // nothing was paired: whose records would it be?
  json attack = {
      {"equipment", "nobody"}, {"kind", "drop"}, {"listener", "front"}, {"topic_prefix", "telemetry/"}};
  EXPECT_EQ(browser_->PostJson("/api/v1/attacks", attack).status, 409);
  for (const char* prefix : {"tele", "key", "tls13", "registry/", "/"}) {
    attack["topic_prefix"] = prefix;
    EXPECT_EQ(browser_->PostJson("/api/v1/attacks", attack).status, 400) << prefix;
  }
  attack["topic_prefix"] = "tls";
  EXPECT_EQ(browser_->PostJson("/api/v1/attacks", attack).status, 404);
}

TEST_F(ConsoleTest, NobodyIsAnsweredWithoutTheToken) {
  ServeHome();
  Browser stranger(console_->port(), "");
  size_t refused = 0;
  for (const Router::Route& route : console_->router().routes()) {
    std::string path = route.path;
    if (const size_t brace = path.find("{member}"); brace != std::string::npos)
      path.replace(brace, 8, MemberOf("thermo"));
    const Browser::Answer answer = stranger.Ask(route.method, path, "application/json", "{}");
    // By its path, not by what the route says of itself.
    if (!path.starts_with("/api/")) {
      EXPECT_EQ(answer.status, 200) << path;
    } else {
      ++refused;
      EXPECT_THAT(answer.status, ::testing::AnyOf(401, 429)) << path;
      ExpectDescribed(answer.json(), "Error");
    }
  }
  EXPECT_GT(refused, 10u);
  // Nor is a stranger told what there is.
  EXPECT_THAT(stranger.Get("/api/v1/nothing").status, ::testing::AnyOf(401, 429));
}

TEST_F(ConsoleTest, EveryAnswerForbidsWhatThePageDoesNotNeed) {
  Serve();
  // One more word in it is one more way in: each was thought about (docs/decisions/0035).
  const std::map<std::string, std::string> policy = {
      {"default-src", "'none'"},     {"script-src", "'self'"},
      {"style-src", "'self'"},       {"img-src", "'self' data: blob:"},
      {"connect-src", "'self'"},     {"manifest-src", "'self'"},
      {"frame-ancestors", "'none'"}, {"base-uri", "'none'"},
      {"form-action", "'none'"},     {"require-trusted-types-for", "'script'"},
      {"trusted-types", "'none'"}};
  for (const char* path : {"/", "/app/main.js", "/api/v1/home", "/api/v1/nothing"}) {
    const std::string head = browser_->Get(path).head;
    EXPECT_EQ(testing::PolicyIn(head), policy) << path;
    EXPECT_THAT(head, HasSubstr("X-Content-Type-Options: nosniff"));
    EXPECT_THAT(head, HasSubstr("Referrer-Policy: no-referrer"));
    EXPECT_THAT(head, HasSubstr("Cross-Origin-Opener-Policy: same-origin"));
    EXPECT_THAT(head, HasSubstr("Cross-Origin-Resource-Policy: same-origin"));
    EXPECT_THAT(head, HasSubstr("Cross-Origin-Embedder-Policy: require-corp"));
    EXPECT_THAT(head,
                HasSubstr("Permissions-Policy: camera=(self), microphone=(), geolocation=(), payment=(), "
                          "usb=()\r\n"));
    EXPECT_THAT(head, HasSubstr("Cache-Control: no-store"));
    EXPECT_THAT(head, Not(HasSubstr("Access-Control")));
  }
}

TEST_F(ConsoleTest, ThePageNamesNobodyElseAndHasNothingInline) {
  for (const PageFile& file : PageFiles()) {
    EXPECT_FALSE(file.type.empty()) << file.path;
    EXPECT_EQ(file.content.find("style=\""), std::string_view::npos) << file.path;
    EXPECT_EQ(file.content.find("innerHTML"), std::string_view::npos) << file.path;
    for (size_t at = file.content.find("://"); at != std::string_view::npos;
         at = file.content.find("://", at + 1)) {
      EXPECT_THAT(std::string(file.content.substr(at - 5, 40)), HasSubstr("www.w3.org")) << file.path;
    }
  }
}

TEST_F(ConsoleTest, WrongMethodsAndPathsAreToldApart) {
  Serve();
  EXPECT_EQ(browser_->Ask("DELETE", "/api/v1/home", "", "").status, 405);
  EXPECT_EQ(browser_->Ask("OPTIONS", "/api/v1/home", "", "").status, 405);
  EXPECT_EQ(browser_->Get("/api/v1/nothing").status, 404);
  EXPECT_EQ(browser_->Get("/../etc/passwd").status, 404);
}

TEST_F(ConsoleTest, AReadingIsShownWithWhatMayBeBelievedOfIt) {
  ServeHome();
  device_->mute = true;  // an echo of a probe would confirm it
  Follower follower(browser_.get());
  const uint64_t sequence = device_->SendReading(21.5);
  const auto channel = [](const json& step) -> json {
    for (const json& device : step["devices"]) {
      for (const json& one : device["channels"]) {
        if (one["value"] == 21.5) return one;
      }
    }
    return nullptr;
  };
  const json pending = follower.Until([&](const json& step) { return !channel(step).is_null(); });
  ExpectDescribed(pending, "Changes");
  EXPECT_EQ(channel(pending)["confirmed"], false);
  EXPECT_EQ(channel(pending)["sequence"], sequence);
  ASSERT_EQ(channel(pending)["points"].size(), 1u);
  EXPECT_EQ(channel(pending)["points"][0][1], 21.5);
  device_->SendReading(22.5, true);
  const json confirmed = follower.Until([&](const json& step) {
    return !step["devices"].empty() && step["devices"][0]["channels"][0]["value"] == 22.5 &&
           step["devices"][0]["channels"][0]["confirmed"] == true;
  });
  ExpectDescribed(confirmed, "Changes");
  const json whole = browser_->Get("/api/v1/home").json();
  ExpectDescribed(whole, "Changes");
  EXPECT_EQ(whole["whole"], true);
  EXPECT_EQ(whole["devices"][0]["channels"][0]["points"].size(), 2u);
}

TEST_F(ConsoleTest, OfEachChannelTheNewestPointsAreKept) {
  device_ = home_.NewDevice("thermo");
  home_.Pair({device_.get()});
  ConsoleOptions options;
  options.model.points_per_channel = 4;
  Serve(std::move(options));
  for (int value = 1; value <= 10; ++value) device_->SendReading(value, true);
  AwaitReading(10);
  // Who was away from the beginning on is told all that is kept, and not only what a picture shows.
  Follower all(browser_.get(), console_->model().generation() + "-1");
  const json step = all.Next();
  std::vector<double> kept;
  for (const json& point : step["devices"][0]["channels"][0]["points"])
    kept.push_back(point[1].get<double>());
  EXPECT_THAT(kept, ::testing::ElementsAre(7, 8, 9, 10));
}

TEST_F(ConsoleTest, AGapIsSaid) {
  ServeHome();
  Follower follower(browser_.get());
  device_->SendReading(1);
  const uint64_t skipped = device_->SkipReading(2);
  device_->SendReading(3, true);
  const std::string flag = absl::StrCat("missing ", skipped, "..", skipped);
  follower.Until([&](const json& step) {
    return std::ranges::any_of(step["devices"], [&](const json& device) {
      return std::ranges::find(device["flags"], json(flag)) != device["flags"].end();
    });
  });
}

TEST_F(ConsoleTest, WhoComesAgainGetsWhatItMissedAndNothingElse) {
  ServeHome();
  std::string id;
  {
    Follower follower(browser_.get());
    EXPECT_EQ(follower.Next()["whole"], true);
    id = follower.last_id();
  }
  device_->SendReading(7.5);
  AwaitReading(7.5);
  Follower again(browser_.get(), id);
  const json step = again.Until(
      [](const json& s) { return !s["devices"].empty() && !s["devices"][0]["channels"].empty(); });
  EXPECT_EQ(step["whole"], false);
  EXPECT_FALSE(step.contains("home"));
  // Of another start, or of nobody: everything.
  for (const char* foreign : {"0123-4", "nonsense", "-", "99999999999999999999999-1"}) {
    Follower stranger(browser_.get(), foreign);
    EXPECT_EQ(stranger.Next()["whole"], true) << foreign;
  }
}

TEST_F(ConsoleTest, TooManyReadersAreTold) {
  ConsoleOptions options;
  options.event_streams = 2;
  Serve(std::move(options));
  Follower first(browser_.get());
  first.Next();
  {
    Follower second(browser_.get());
    second.Next();
    const Browser::Answer third = browser_->Get("/api/v1/events");
    EXPECT_EQ(third.status, 503);
    ExpectDescribed(third.json(), "Error");
  }
  // One that went gives its place up.
  const absl::Time deadline = absl::Now() + testing::kPatience;
  while (browser_->Ask("HEAD", "/api/v1/events", "", "").status != 200 && absl::Now() < deadline) {
  }
  EXPECT_LT(absl::Now(), deadline);
}

TEST_F(ConsoleTest, ACommandEndsWithTheDevicesSignedAnswer) {
  ServeHome();
  const std::string member = MemberOf("thermo");
  const json task =
      Ended(browser_->PostJson("/api/v1/members/" + member + "/commands", {{"operation", "on"}}));
  ExpectDescribed(task, "Task");
  EXPECT_EQ(task["state"], "done");
  EXPECT_EQ(task["outcome"]["result"], "done");
  EXPECT_EQ(task["outcome"]["signed_by"], member);
  EXPECT_EQ(task["outcome"]["counter"], task["outcome"]["answered_counter"]);
  EXPECT_EQ(device_->commands_done(), 1u);
}

TEST_F(ConsoleTest, AlarmsAreStillToldAfterACommand) {
  ServeHome();
  Ended(browser_->PostJson("/api/v1/members/" + MemberOf("thermo") + "/commands", {{"operation", "on"}}));
  device_->SendReading(1, true);
  AwaitReading(1);
  // A genuine record, changed in its last byte.
  GroupHeaderCache headers;
  const Payload group = device_->last_group();
  const GroupView view = Must(GroupView::Parse(*group, headers));
  GroupBuilder forged(view.header());
  Bytes cose = ToBytes(view.records().front().cose);
  cose.back() ^= 1;
  ASSERT_TRUE(forged.Append(view.records().front().sequence + 100, cose).ok());
  Follower follower(browser_.get());
  home_.Inject(forged.Take());
  const json step = follower.Until([](const json& s) { return !s["alarms"].empty(); });
  ExpectDescribed(step, "Changes");
  EXPECT_EQ(step["alarms"][0]["kind"], "open_failed");
  EXPECT_EQ(step["alarms"][0]["device"], "thermo");
}

TEST_F(ConsoleTest, WrongCommandsAreRefusedWithASentence) {
  ServeHome();
  const std::string commands = "/api/v1/members/" + MemberOf("thermo") + "/commands";
  for (const json& wrong :
       {json::object(), json{{"operation", 1}}, json{{"operation", "rm -rf"}},
        json{{"operation", std::string(33, 'a')}}, json{{"operation", "on"}, {"argument", "x"}},
        json{{"operation", "on"}, {"more", 1}}, json::array()}) {
    const Browser::Answer answer = browser_->PostJson(commands, wrong);
    EXPECT_EQ(answer.status, 400) << wrong;
    ExpectDescribed(answer.json(), "Error");
  }
  EXPECT_EQ(browser_->PostText(commands, "{\"operation\":\"on\"}").status, 400);
  EXPECT_EQ(browser_->PostJson("/api/v1/members/" + std::string(32, '0') + "/commands", {{"operation", "on"}})
                .status,
            404);
  EXPECT_EQ(device_->commands_done(), 0u);
}

TEST_F(ConsoleTest, TheFirstDeviceIsJoinedByItsLabelAndReadAtOnce) {
  Serve(WithRecovery());
  const json empty = browser_->Get("/api/v1/home").json();
  ExpectDescribed(empty, "Changes");
  EXPECT_EQ(empty["home"]["founded"], false);
  device_ = home_.NewDevice("thermo");
  device_->Start();
  const json task = Ended(browser_->PostText("/api/v1/pairings", LabelText(*device_)));
  ExpectDescribed(task, "Task");
  ASSERT_EQ(task["state"], "done") << task;
  ASSERT_EQ(task["outcome"]["paired"].size(), 1u) << task;
  EXPECT_EQ(task["outcome"]["paired"][0]["device"], "thermo");
  EXPECT_THAT(recovery_, ::testing::StartsWith("KSRK1:"));
  device_->AwaitEpoch(task["outcome"]["epoch"].get<uint64_t>());
  device_->SendReading(4.25);
  AwaitReading(4.25);
  EXPECT_EQ(json(MemberOf("thermo")), task["outcome"]["paired"][0]["member"]);
}

TEST_F(ConsoleTest, NothingIsFoundedWithoutAPlaceForTheRecoveryKey) {
  Serve();
  device_ = home_.NewDevice("thermo");
  const Browser::Answer answer = browser_->PostText("/api/v1/pairings", LabelText(*device_));
  EXPECT_EQ(answer.status, 409);
  EXPECT_THAT(answer.body, HasSubstr("--recovery-out"));
  EXPECT_FALSE(engine_->state().HasOwner());
}

TEST_F(ConsoleTest, WrongLabelsAreRefusedAndNotRepeated) {
  Serve(WithRecovery());
  device_ = home_.NewDevice("thermo");
  std::string mistyped = LabelText(*device_);
  mistyped[20] = mistyped[20] == 'A' ? 'B' : 'A';
  for (const std::string& wrong :
       {std::string(), std::string("hello"), mistyped, LabelText(*device_) + LabelText(*device_)}) {
    const Browser::Answer answer = browser_->PostText("/api/v1/pairings", wrong);
    EXPECT_EQ(answer.status, 400) << answer.body;
    if (wrong.size() > 20) EXPECT_THAT(answer.body, Not(HasSubstr(wrong.substr(4, 16))));
  }
  EXPECT_FALSE(engine_->state().HasOwner());
}

TEST_F(ConsoleTest, AMemberIsRemovedWhenItIsNamedTwice) {
  ServeHome();
  const std::string removal = "/api/v1/members/" + MemberOf("thermo") + "/removal";
  EXPECT_EQ(browser_->PostJson(removal, {{"confirm", "bulb"}}).status, 400);
  EXPECT_EQ(browser_->PostJson(removal, json::object()).status, 400);
  const json task = Ended(browser_->PostJson(removal, {{"confirm", "thermo"}}));
  ExpectDescribed(task, "Task");
  EXPECT_EQ(task["state"], "done");
  Follower follower(browser_.get());
  follower.Until([](const json& step) {
    return step.contains("membership") && step["membership"]["members"].size() == 1;
  });
}

TEST_F(ConsoleTest, ThereIsNothingToTakeBackWhereNothingIsPending) {
  ServeHome();
  const json task = Ended(browser_->Ask("POST", "/api/v1/changes/withdrawal", "application/json", "{}"));
  ExpectDescribed(task, "Task");
  EXPECT_EQ(task["outcome"]["withdrawal"], "nothing");
}

TEST_F(ConsoleTest, ACarrierIsLetIn) {
  ServeHome();
  EXPECT_EQ(browser_->PostJson("/api/v1/carriers", {{"transport", "nonsense"}}).status, 400);
  const std::string carrier = "spiffe://" + engine_->transport().tenant().str() + "/gateway/balancer";
  const json task = Ended(browser_->PostJson("/api/v1/carriers", {{"transport", carrier}}));
  ExpectDescribed(task, "Task");
  EXPECT_EQ(task["state"], "done");
}

// Raw, in hex and in base64, whatever its case.
bool Holds(std::string_view seen, ByteView secret) {
  const std::string base64 = absl::Base64Escape(Absl(AsChars(secret))).substr(0, 40);
  return seen.find(AsChars(secret)) != std::string_view::npos ||
         seen.find(ToHex(secret)) != std::string_view::npos || seen.find(base64) != std::string_view::npos;
}

TEST_F(ConsoleTest, NoAnswerHoldsASecret) {
  Serve(WithRecovery());
  device_ = home_.NewDevice("thermo");
  device_->Start();
  const membership::Label label = device_->Label();
  Follower all(browser_.get());
  Ended(browser_->PostText("/api/v1/pairings", LabelText(*device_)));
  device_->AwaitEpoch(1);
  device_->SendReading(1.5, true);
  AwaitReading(1.5);
  const std::string member = MemberOf("thermo");
  Ended(browser_->PostJson("/api/v1/members/" + member + "/commands", {{"operation", "on"}}));
  const Member before = Must(engine_->state().LoadMember());
  Ended(browser_->PostJson("/api/v1/members/" + member + "/removal", {{"confirm", "thermo"}}));
  for (const Router::Route& route : console_->router().routes()) {
    if (route.method == "GET" && route.path != "/api/v1/events") browser_->Get(route.path);
  }
  all.Until([](const json& step) { return step.contains("membership") && step["membership"]["epoch"] == 2; });

  const std::string& seen = browser_->seen();
  const Member after = Must(engine_->state().LoadMember());
  // The search sees: what is public is there.
  EXPECT_TRUE(Holds(seen, before.identity().id.view()));
  EXPECT_TRUE(Holds(seen, after.chain().head().hash.view()));
  std::vector<std::pair<std::string, SecretBytes>> secrets;
  for (const Member* one : {&before, &after}) {
    secrets.emplace_back("identity key", one->identity().ik.ExportPrivateScalar());
    secrets.emplace_back("epoch secret", one->ring().epoch_secret().secret().Clone());
  }
  const Topic telemetry = Topic::Of(TopicKind::kTelemetry, Must(MemberId::FromHex(member)));
  secrets.emplace_back("topic key", Must(before.ring().TopicKeyFor(telemetry)).secret().Clone());
  secrets.emplace_back("setup code", label.setup_code.Clone());
  const std::string scalar = recovery_.substr(6);
  secrets.emplace_back("recovery key", SecretBytes::CopyOf(Must(FromHex(scalar))));
  for (const auto& [name, secret] : secrets) {
    ASSERT_EQ(secret.size(), 32u) << name;
    EXPECT_FALSE(Holds(seen, secret.ExposeSecret())) << name << " was sent";
  }
  EXPECT_EQ(seen.find(LabelText(*device_).substr(4, 40)), std::string::npos);
}

}  // namespace
}  // namespace keystead::console
