#include "core/observe/metrics_request.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/base/bytes.h"

namespace keystead {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kTarget = "/metrics";

// Takes what comes before `mark` off `text`; all of it where there is none.
std::string_view TakeUpTo(std::string_view& text, std::string_view mark) {
  const size_t at = text.find(mark);
  const std::string_view out = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + mark.size());
  return out;
}

bool IsLoopbackHost(std::string_view host) {
  if (!host.empty() && host.front() == '[') {
    const std::string_view address = host.substr(0, host.find(']') + 1);
    return address == "[::1]";
  }
  const std::string_view name = host.substr(0, host.find(':'));
  return absl::EqualsIgnoreCase(Absl(name), "localhost") ||
         (absl::StartsWith(Absl(name), "127.") &&
          std::ranges::all_of(name, [](char c) { return c == '.' || (c >= '0' && c <= '9'); }));
}

// Of the only Host line; nothing when there is none or more than one (RFC 9112, section 3.2).
std::optional<std::string_view> HostOf(std::string_view lines) {
  std::optional<std::string_view> host;
  while (!lines.empty()) {
    std::string_view value = TakeUpTo(lines, kLineEnd);
    const std::string_view name = TakeUpTo(value, ":");
    if (!absl::EqualsIgnoreCase(Absl(name), "host")) continue;
    if (host.has_value()) return std::nullopt;
    host = Std(absl::StripAsciiWhitespace(Absl(value)));
  }
  return host;
}

struct Line {
  std::string_view status;
  std::string_view text;
};

Line LineOf(MetricsAnswer answer) {
  switch (answer) {
    case MetricsAnswer::kMetrics:
      return {"200 OK", ""};
    case MetricsAnswer::kMalformed:
      return {"400 Bad Request", "This is no request of HTTP/1.1.\n"};
    case MetricsAnswer::kMethodNotAllowed:
      return {"405 Method Not Allowed", "Only GET is answered.\n"};
    case MetricsAnswer::kNotFound:
      return {"404 Not Found", "There is only /metrics.\n"};
    case MetricsAnswer::kMisdirected:
      return {"421 Misdirected Request", "Ask by an address of loopback, or by localhost.\n"};
    case MetricsAnswer::kTooLarge:
      return {"431 Request Header Fields Too Large", "The request is too large.\n"};
  }
  return {"500 Internal Server Error", ""};
}

}  // namespace

size_t EndOfRequestHead(std::string_view read) {
  const size_t at = read.find(kHeadEnd);
  return at == std::string_view::npos ? at : at + kHeadEnd.size();
}

MetricsAnswer JudgeMetricsRequest(std::string_view head, bool loopback_only) {
  std::string_view lines = head;
  std::string_view line = TakeUpTo(lines, kLineEnd);
  const std::string_view method = TakeUpTo(line, " ");
  const std::string_view target = TakeUpTo(line, " ");
  if (method.empty() || target.empty() || (line != "HTTP/1.1" && line != "HTTP/1.0"))
    return MetricsAnswer::kMalformed;
  const std::optional<std::string_view> host = HostOf(lines);
  if (!host.has_value()) return MetricsAnswer::kMalformed;
  if (loopback_only && !IsLoopbackHost(*host)) return MetricsAnswer::kMisdirected;
  if (target.substr(0, target.find('?')) != kTarget) return MetricsAnswer::kNotFound;
  return method == "GET" ? MetricsAnswer::kMetrics : MetricsAnswer::kMethodNotAllowed;
}

std::string_view MetricsRefusalText(MetricsAnswer answer) { return LineOf(answer).text; }

std::string MetricsResponseHead(MetricsAnswer answer, size_t body_bytes) {
  return absl::StrCat("HTTP/1.1 ", Absl(LineOf(answer).status),
                      "\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: ",
                      body_bytes, answer == MetricsAnswer::kMethodNotAllowed ? "\r\nAllow: GET" : "",
                      "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff"
                      "\r\nConnection: close\r\n\r\n");
}

}  // namespace keystead
