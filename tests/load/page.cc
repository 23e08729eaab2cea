#include "tests/load/page.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "core/base/bytes.h"
#include "tests/load/page_template.h"
#include "tests/load/plots.h"
#include "tests/load/svg.h"
#include "tests/load/verdict.h"

namespace keystead::load {
namespace {

using nlohmann::json;

std::string Escaped(const json& text) { return EscapeHtml(text.get<std::string>()); }

std::string Number(const json& value, int digits) {
  return value.is_number() ? absl::StrFormat("%.*f", digits, value.get<double>()) : "–";
}
std::string Milliseconds(const json& us) {
  return us.is_number() ? absl::StrFormat("%.2f", us.get<double>() / 1000) : "–";
}
std::string Percent(const json& share) {
  return share.is_number() ? absl::StrFormat("%.0f %%", 100 * share.get<double>()) : "–";
}

std::string Cell(const std::string& text, const char* css_class = "") {
  return absl::StrCat("<td class=\"", css_class, "\">", text, "</td>");
}

// With a mark in words and colour: neither alone is seen by everybody.
std::string AimCell(const json& episode, const char* name, const std::string& text) {
  for (const json& aim : episode["aims"]) {
    if (aim["name"] != name) continue;
    const bool met = aim["met"].get<bool>();
    return Cell(text + (met ? " <span aria-label=\"met\">✓</span>" : " <span aria-label=\"missed\">✗</span>"),
                met ? "met" : "missed");
  }
  return Cell(text);
}

std::string Codes(const json& by_code) {
  std::string out;
  for (const auto& [code, count] : by_code.items())
    absl::StrAppend(&out, out.empty() ? "" : ", ", EscapeHtml(code), " ", count.get<uint64_t>());
  return out.empty() ? "none" : out;
}

std::string Errors(const json& by_code) {
  std::string out;
  for (const auto& [code, of] : by_code.items()) {
    absl::StrAppend(&out, out.empty() ? "" : ", ", EscapeHtml(code), " ", Number(of["alone_per_1000"], 2),
                    " → ", Number(of["with_per_1000"], 2), " (× ", Number(of["ratio"], 2), ")");
  }
  return out.empty() ? "none" : out;
}

std::string RatioRow(const json& episode) {
  const json& ratios = episode["ratios"];
  const json& alone = episode["phases"]["alone"];
  const json& with = episode["phases"]["neighbour"];
  std::string out = absl::StrCat("<tr><th scope=\"row\"><a href=\"#", Escaped(episode["behaviour"]), "\">",
                                 Escaped(episode["behaviour"]), "</a></th>");
  absl::StrAppend(&out, Cell(Milliseconds(alone["p99_us"])), Cell(Milliseconds(with["p99_us"])));
  absl::StrAppend(&out, Cell(Number(ratios["p50"], 2)), Cell(Number(ratios["p90"], 2)));
  absl::StrAppend(&out, AimCell(episode, "p99", Number(ratios["p99"], 2)), Cell(Number(ratios["p99_9"], 2)));
  absl::StrAppend(&out, AimCell(episode, "goodput", Number(ratios["goodput"], 3)));
  absl::StrAppend(&out, AimCell(episode, "jain", Number(episode["jain"], 4)));
  absl::StrAppend(&out, AimCell(episode, "recovery", Number(episode["recovery_seconds"], 2)));
  absl::StrAppend(&out, Cell(Percent(with["cpu"]["generator"])), Cell(Percent(with["cpu"]["server"])),
                  "</tr>\n");
  return out;
}

std::string RatioTable(const json& episodes) {
  if (episodes.empty()) return "";
  std::string out =
      "<h2>What the others felt</h2>\n<div class=\"wide\"><table><thead><tr><th>the neighbour’s "
      "behaviour</th>"
      "<th>p99 alone, ms</th><th>p99 with, ms</th><th>× p50</th><th>× p90</th><th>× p99<br><i>≤ 1.5</i></th>"
      "<th>× p99.9</th><th>× goodput<br><i>≥ 0.95</i></th><th>Jain<br><i>≥ 0.98</i></th>"
      "<th>back in, s<br><i>≤ 2</i></th><th>generator</th><th>server</th></tr></thead><tbody>\n";
  for (const json& episode : episodes) out += RatioRow(episode);
  return out + "</tbody></table></div>\n";
}

std::string NeighbourSentence(const json& episode) {
  if (!episode.contains("neighbours")) return "";
  const json& neighbours = episode["neighbours"];
  const json& records = neighbours["records"];
  std::string out =
      absl::StrFormat("The neighbour offered %d records; %d were acknowledged, %d refused. ",
                      records["offered"].get<uint64_t>(), records["acknowledged"].get<uint64_t>(),
                      records["refused"].get<uint64_t>());
  absl::StrAppend(&out, "Its calls that the server ended: ", Codes(neighbours["calls_ended"]), ".");
  if (neighbours["attempts"].get<uint64_t>() > 0)
    absl::StrAppend(&out, " Beside that it tried ", neighbours["attempts"].get<uint64_t>(),
                    " times: ", Codes(neighbours["answered"]), ".");
  return out;
}

std::string EpisodeSection(const json& episode) {
  const json& with = episode["phases"]["neighbour"];
  std::string out =
      absl::StrCat("<section id=\"", Escaped(episode["behaviour"]), "\"><h2>", Escaped(episode["behaviour"]),
                   " <small>", Escaped(episode["sentence"]), "</small></h2>\n");
  for (const json& why : episode["invalid"])
    absl::StrAppend(&out, "<p class=\"missed\">Invalid: ", Escaped(why), "</p>\n");
  for (const json& why : episode["doubts"])
    absl::StrAppend(&out, "<p class=\"doubt\">Doubtful: ", Escaped(why), "</p>\n");
  absl::StrAppend(
      &out, "<div class=\"plots\"><figure>", DistributionPlot(episode),
      "<figcaption>Victims’ latency by percentile</figcaption></figure>\n<figure>", TimelinePlot(episode),
      "<figcaption>Victims’ latency in quarter seconds</figcaption></figure>\n<figure>", GoodputPlot(episode),
      "<figcaption>Goodput of each victim, alone (above) and with the "
      "neighbour</figcaption></figure></div>\n");
  absl::StrAppend(&out, "<p>", NeighbourSentence(episode),
                  " Victims’ calls that the server ended meanwhile: ", Codes(with["calls_ended"]),
                  "; records refused: ", Codes(with["records_refused"]),
                  "; errors of 1,000 records, alone → with: ", Errors(episode["errors"]),
                  "; lost: ", episode["records"]["lost"].get<uint64_t>(), ".");
  if (with.contains("delivered"))
    absl::StrAppend(&out, " To their subscribers: p99 ",
                    Milliseconds(episode["phases"]["alone"]["delivered"]["p99_us"]), " ms alone, ",
                    Milliseconds(with["delivered"]["p99_us"]), " ms with the neighbour.");
  absl::StrAppend(&out, " Of the quarter seconds alone, ", Percent(episode["noise"]),
                  " were above 1.5 × their own p99: so noisy is the measure.</p></section>\n");
  return out;
}

std::string SweepSection(const json& sweep) {
  std::string out =
      "<section><h2>What a tenant costs</h2>\n<div "
      "class=\"wide\"><table><thead><tr><th>tenants</th><th>connections</th>"
      "<th>records/s</th><th>server µs<br>per record</th><th>stored bytes<br>per record</th><th>server "
      "µs<br>per connection</th>"
      "<th>bytes<br>per connection</th><th>server µs<br>per tenant</th><th>bytes<br>per "
      "tenant</th><th>generator</th></tr></thead>"
      "<tbody>\n";
  for (const json& row : sweep["rows"]) {
    absl::StrAppend(&out, "<tr><th scope=\"row\">", row["tenants"].get<int>(), "</th>",
                    Cell(Number(row["connections"], 0)), Cell(Number(row["records_per_second"], 0)),
                    Cell(Number(row["server_cpu_us_per_record"], 2)));
    absl::StrAppend(&out, Cell(Number(row["stored_bytes_per_record"], 0)));
    for (const char* const of : {"per_connection", "per_tenant"})
      absl::StrAppend(&out, Cell(Number(row[of]["cpu_us"], 0)), Cell(Number(row[of]["bytes"], 0)));
    absl::StrAppend(&out, Cell(Percent(row["generator_share"])), "</tr>\n");
  }
  absl::StrAppend(&out, "</tbody></table></div>\n<div class=\"plots\"><figure>", SweepPlot(sweep),
                  "</figure></div>\n");
  for (const json& aim : sweep["aims"]) {
    const bool met = aim["met"].get<bool>();
    absl::StrAppend(&out, "<p class=\"", met ? "met" : "missed", "\">Throughput ", Escaped(aim["aim"]),
                    ": × ", Number(aim["measured"], 3), met ? " ✓" : " ✗", "</p>\n");
  }
  return out + "</section>\n";
}

std::string Verdict(const json& report) {
  std::string out;
  for (const json& why : report["invalid"])
    absl::StrAppend(&out, "<p class=\"banner missed\">This run is INVALID: ", Escaped(why), ".</p>\n");
  if (!report["doubts"].empty())
    absl::StrAppend(
        &out, "<p class=\"banner doubt\">Disturbed: other processes were busy on the cores used here in ",
        report["doubts"].size(), " phases. Each is named below.</p>\n");
  const std::string mutant = report["mutant"].is_string() ? report["mutant"].get<std::string>() : "";
  if (!mutant.empty())
    absl::StrAppend(&out, "<p class=\"banner missed\">Broken on purpose: ", EscapeHtml(mutant), "</p>\n");
  return out;
}

std::string ConnectionsSentence(const json& report) {
  if (!report.contains("connections")) return "";
  const json& of = report["connections"];
  std::string out =
      absl::StrFormat("%d devices, each with a certificate and a mutual-TLS connection of its own, %d open. ",
                      of["devices"].get<int>(), of["open"].get<int>());
  if (!of["verified"].get<bool>())
    return absl::StrCat(
        out, "Not verified with the backend’s own counts: ", Escaped(of["not_verified_because"]), ".");
  absl::StrAppend(&out, "The backend itself counts ", of["backend_connections"].get<uint64_t>(),
                  " connections and ", of["backend_certificates"].get<uint64_t>(),
                  " certificates, and should count ", of["expected"].get<uint64_t>(),
                  of["equal"].get<bool>() ? ": equal." : ": NOT EQUAL.");
  return out;
}

void Term(std::string& out, const std::string& term, const std::string& text) {
  absl::StrAppend(&out, "<dt>", term, "</dt><dd>", text, "</dd>\n");
}

std::string Method(const json& report) {
  std::string out;
  const json& machine = report["machine"];
  Term(out, "Machine",
       absl::StrCat(Escaped(machine["cpu"]), ", ", machine["cores"].get<int>(), " cores, ",
                    machine["memory_bytes"].get<uint64_t>() >> 20, " MiB, ", Escaped(machine["kernel"])));
  const int server = machine["server_core"].get<int>();
  Term(out, "Cores",
       server < 0 ? "not pinned"
                  : absl::StrCat("server on core ", server, ", generator on core ",
                                 machine["generator_core"].get<int>(),
                                 "; a run is invalid when the generator used more than 85 % of its own"));
  if (report.contains("plan")) {
    const json& plan = report["plan"];
    Term(out, "Load",
         absl::StrCat(plan["tenants"].get<int>(), " tenants, ", plan["neighbours"].get<int>(),
                      " of them misbehaving; ", plan["devices_per_tenant"].get<int>(), " devices each; ",
                      Escaped(plan["arrivals"]), " arrivals at ", Number(plan["rate_per_device"], 1),
                      " a second and device, ", plan["records_per_arrival"].get<int>(), " records of ",
                      plan["record_bytes"].get<int>(), " bytes each; an open loop"));
    std::string seconds;
    for (const json& phase : plan["phase_seconds"])
      absl::StrAppend(&seconds, seconds.empty() ? "" : ", ", Number(phase, 2));
    Term(out, "Phases", absl::StrCat("warm-up, alone, with the neighbour, recovery: ", seconds, " s"));
    Term(out, "The neighbour",
         plan["neighbour_obeys"].get<bool>() ? "waits as long as a refusal asks it to"
                                             : "ignores what a refusal asks it");
  }
  Term(out, "Latency",
       "from the moment at which a record was meant to be sent to its durable acknowledgement; what waits in "
       "the client counts, and what never came through counts as what it waited at least");
  Term(out, "Connections", ConnectionsSentence(report));
  Term(out, "Started", Escaped(report["started"]));
  return out;
}

}  // namespace

std::string RenderPage(const json& report) {
  std::string body = Verdict(report) + RatioTable(report["episodes"]);
  for (const json& episode : report["episodes"]) body += EpisodeSection(episode);
  if (report.contains("sweep")) body += SweepSection(report["sweep"]);
  // The template first: nothing in the report can be taken for a place in it.
  std::string out(kPageTemplate);
  const size_t at_method = out.find("@METHOD@");
  out.replace(at_method, 8, Method(report));
  const size_t at_body = out.find("@BODY@");
  return out.replace(at_body, 6, body);
}

}  // namespace keystead::load
