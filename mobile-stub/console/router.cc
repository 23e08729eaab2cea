#include "mobile-stub/console/router.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

namespace keystead::console {
namespace {

std::string_view TakeSegment(std::string_view& path) {
  path.remove_prefix(1);  // '/'
  const size_t end = path.find('/');
  const std::string_view segment = path.substr(0, end);
  path.remove_prefix(segment.size());
  return segment;
}

bool Matches(std::string_view pattern, std::string_view path, PathParameters& parameters) {
  parameters.clear();
  while (pattern.starts_with('/') && path.starts_with('/')) {
    const std::string_view wanted = TakeSegment(pattern);
    const std::string_view segment = TakeSegment(path);
    if (wanted.starts_with('{') && wanted.ends_with('}')) {
      if (segment.empty()) return false;
      parameters.emplace(wanted.substr(1, wanted.size() - 2), segment);
    } else if (wanted != segment) {
      return false;
    }
  }
  return pattern.empty() && path.empty();
}

}  // namespace

void Router::Add(Route route) {
  for (const Route& other : routes_) {
    if (other.method == route.method && other.path == route.path) std::abort();  // our own mistake
  }
  routes_.push_back(std::move(route));
}

const Router::Route* Router::Find(std::string_view method, std::string_view path, PathParameters& parameters,
                                  bool& other_method) const {
  other_method = false;
  for (const Route& route : routes_) {
    if (!Matches(route.path, path, parameters)) continue;
    if (route.method == method || (method == "HEAD" && route.method == "GET")) return &route;
    other_method = true;
  }
  return nullptr;
}

HttpResponse ErrorResponse(int status, std::string_view why) {
  HttpResponse response;
  response.status = status;
  response.body =
      nlohmann::json{{"error", why}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  return response;
}

}  // namespace keystead::console
