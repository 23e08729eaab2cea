#include "tests/load/page.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "tests/load/svg.h"
#include "tests/load/verdict.h"

namespace keystead::load {
namespace {

using nlohmann::json;

json SweepOf() {
  const json cost = {{"cpu_us", 100.0}, {"bytes", 2000.0}};
  json row = {{"tenants", 1},
              {"connections", 8.0},
              {"records_per_second", 1000.0},
              {"server_cpu_us_per_record", 5.0},
              {"stored_bytes_per_record", 300.0},
              {"per_connection", cost},
              {"per_tenant", cost},
              {"generator_share", 0.5}};
  json second = row;
  second["tenants"] = 4;
  return {{"rows", json::array({row, second})},
          {"aims", json::array({AimToJson("throughput", "at least 0.9 × that at 1", 0.8, false)})}};
}

json ReportOf(const std::string& tenant) {
  const Timeline timeline = Timeline::Of(0, {1, 1, 1, 1});
  Recorder recorder(timeline, 1);
  for (int64_t at = 0; at < timeline.end(); at += 10'000'000) {
    recorder.Offered(0, at, at);
    recorder.Sent(0, 1);
    recorder.Acknowledged(0, at, at + 2'000'000 + at / 1000);
  }
  json episode = EpisodeToJson(recorder, {tenant}, PhaseUse{});
  episode["behaviour"] = "rate10";
  episode["sentence"] = "ten times the ordinary rate";
  episode["neighbours"] = {{"records", ToJson(RecordCounts())},
                           {"calls_ended", {{"RESOURCE_EXHAUSTED", 3}}},
                           {"attempts", 2},
                           {"answered", {{"OK", 2}}}};
  json out;
  out["episodes"] = json::array({episode});
  out["invalid"] = json::array();
  out["doubts"] = json::array();
  out["valid"] = true;
  out["mutant"] = "";
  out["started"] = "2026-11-26T12:00:00Z";
  out["machine"] = {{"cpu", "a processor"}, {"cores", 2},       {"memory_bytes", 1 << 30},
                    {"kernel", "Linux"},    {"server_core", 0}, {"generator_core", 1}};
  out["connections"] = {
      {"devices", 1}, {"open", 1}, {"verified", false}, {"not_verified_because", "UNIMPLEMENTED: no"}};
  out["sweep"] = SweepOf();
  return out;
}

// The names of elements that were opened and not closed, in order; those that have no end left out.
std::vector<std::string> Unclosed(const std::string& page) {
  std::vector<std::string> open;
  for (size_t at = page.find('<'); at != std::string::npos; at = page.find('<', at + 1)) {
    if (page[at + 1] == '!') continue;
    const bool closes = page[at + 1] == '/';
    const size_t from = at + (closes ? 2 : 1);
    const std::string name = page.substr(from, page.find_first_of(" >/\n", from) - from);
    const size_t end = page.find('>', at);
    if (name == "meta" || name == "br" || page[end - 1] == '/') continue;
    if (!closes) {
      open.push_back(name);
    } else if (!open.empty() && open.back() == name) {
      open.pop_back();
    } else {
      return {"</" + name + "> without its beginning"};
    }
  }
  return open;
}

TEST(PageTest, EveryElementIsClosed) {
  EXPECT_EQ(Unclosed(RenderPage(ReportOf("acme.keystead.example"))), std::vector<std::string>());
  EXPECT_EQ(Unclosed("<p><b>a</b>"), std::vector<std::string>({"p"})) << "the check itself sees";
}

TEST(PageTest, NeedsNothingFromOutside) {
  const std::string page = RenderPage(ReportOf("acme.keystead.example"));
  for (const char* const word :
       {"http://", "https://", "<script", "<link", "<img", "url(", "@import", "src="})
    EXPECT_EQ(page.find(word), std::string::npos) << word;
}

TEST(PageTest, NamesAreText) {
  const std::string name = "<b onclick=\"x\">&'@METHOD@@BODY@";
  json report = ReportOf(name);
  for (const char* const field : {"invalid", "doubts"}) report[field] = json::array({name});
  report["episodes"][0]["invalid"] = report["episodes"][0]["doubts"] = json::array({name});
  report["connections"]["not_verified_because"] = name;
  report["machine"]["cpu"] = name;
  report["mutant"] = name;
  const std::string page = RenderPage(report);
  EXPECT_EQ(page.find("<b "), std::string::npos);
  EXPECT_EQ(Unclosed(page), std::vector<std::string>());
}

TEST(PageTest, SaysWhatWasMissedAndWhatIsInvalid) {
  json report = ReportOf("acme.keystead.example");
  const std::string good = RenderPage(report);
  EXPECT_EQ(good.find("INVALID"), std::string::npos);
  EXPECT_NE(good.find("aria-label=\"met\""), std::string::npos);
  report["invalid"] = json::array({"the generator used 99 % of its core"});
  EXPECT_NE(RenderPage(report).find("INVALID: the generator used 99 %"), std::string::npos);
  for (json& aim : report["episodes"][0]["aims"]) aim["met"] = false;
  const std::string bad = RenderPage(report);
  EXPECT_EQ(bad.find("aria-label=\"met\""), std::string::npos);
  EXPECT_NE(bad.find("aria-label=\"missed\""), std::string::npos);
}

TEST(PageTest, ARunInWhichNothingCameThroughIsStillAPage) {
  json report = ReportOf("a.example");
  json& episode = report["episodes"][0];
  const Recorder nothing(Timeline::Of(0, {1, 1, 1, 1}), 1);
  const json empty = EpisodeToJson(nothing, {"a.example"}, PhaseUse{});
  for (const char* const part : {"phases", "ratios", "windows", "aims", "victims", "recovery_seconds"})
    episode[part] = empty[part];
  EXPECT_EQ(Unclosed(RenderPage(report)), std::vector<std::string>());
}

TEST(ScaleTest, MapsEndsToEndsAndTheRestBetween) {
  const Scale linear{0, 10, false, 100, 200};
  EXPECT_EQ(linear.At(0), 100);
  EXPECT_EQ(linear.At(10), 200);
  EXPECT_EQ(linear.At(5), 150);
  EXPECT_EQ(linear.At(99), 200) << "what is outside is drawn at the border";
  const Scale upright{1, 100, true, 200, 100};
  EXPECT_DOUBLE_EQ(upright.At(1), 200);
  EXPECT_DOUBLE_EQ(upright.At(10), 150);
  EXPECT_DOUBLE_EQ(upright.At(100), 100);
  EXPECT_DOUBLE_EQ(upright.At(0), 200) << "nothing at all is below every logarithm";
}

TEST(ScaleTest, TicksAreRoundAndInside) {
  EXPECT_EQ((Scale{0, 10, false}.Ticks(5)), (std::vector<double>{0, 2, 4, 6, 8, 10}));
  EXPECT_EQ((Scale{0.9, 60, true}.Ticks(7)), (std::vector<double>{1, 2, 5, 10, 20, 50}));
  EXPECT_EQ((Scale{0.9, 6000, true}.Ticks(7)), (std::vector<double>{1, 10, 100, 1000}));
}

TEST(FormatNumberTest, IsAsShortAsATickNeeds) {
  EXPECT_EQ(FormatNumber(0), "0");
  EXPECT_EQ(FormatNumber(0.25), "0.25");
  EXPECT_EQ(FormatNumber(2), "2");
  EXPECT_EQ(FormatNumber(1500), "1500");
  EXPECT_EQ(FormatNumber(-4), "-4");
}

}  // namespace
}  // namespace keystead::load
