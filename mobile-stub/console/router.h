// Which handler serves which request. A route is a method and a path as OpenAPI writes it:
// "/api/v1/devices/{member}".
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "mobile-stub/console/http_server.h"

namespace keystead::console {

// What stood in the braces, by name.
using PathParameters = std::map<std::string, std::string, std::less<>>;
using RouteHandler = std::function<HttpResponse(HttpRequest& request, const PathParameters& path)>;

// What is served without a token: the page's own files, which say nothing about anybody.
enum class Audience { kAnybody, kOwner };

class Router {
 public:
  struct Route {
    std::string method;
    std::string path;
    Audience audience = Audience::kOwner;
    RouteHandler handler;
  };
  // Each method and path once: aborts otherwise.
  void Add(Route route);
  void Get(std::string path, RouteHandler handler) {
    Add({"GET", std::move(path), Audience::kOwner, std::move(handler)});
  }
  void Post(std::string path, RouteHandler handler) {
    Add({"POST", std::move(path), Audience::kOwner, std::move(handler)});
  }

  // Null where there is none; `other_method`: the path is served, by another method.
  const Route* Find(std::string_view method, std::string_view path, PathParameters& parameters,
                    bool& other_method) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
};

// {"error": why}, for whoever reads.
HttpResponse ErrorResponse(int status, std::string_view why);

}  // namespace keystead::console
