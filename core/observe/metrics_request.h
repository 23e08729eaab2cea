// What may be asked of the metrics' server, and what it answers; no sockets.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace keystead {

// The end of the head in what was read so far (RFC 9112, section 2.1), or npos.
size_t EndOfRequestHead(std::string_view read);

enum class MetricsAnswer { kMetrics, kMalformed, kMethodNotAllowed, kNotFound, kMisdirected, kTooLarge };

// Of a whole head. `loopback_only`: the Host must be loopback. What a client says is compared and never
// repeated.
MetricsAnswer JudgeMetricsRequest(std::string_view head, bool loopback_only);

std::string_view MetricsRefusalText(MetricsAnswer answer);  // the body, of every other than kMetrics
std::string MetricsResponseHead(MetricsAnswer answer, size_t body_bytes);

}  // namespace keystead
