// The page's own files, compiled in. They are the same for everybody and say nothing about anybody.

#include "mobile-stub/console/page_files.h"
#include "mobile-stub/console/routes.h"

namespace keystead::console {

void AddPageRoutes(Router& router) {
  for (const PageFile& file : PageFiles()) {
    const auto serve = [&file](HttpRequest&, const PathParameters&) {
      HttpResponse response;
      response.type = file.type;
      response.body = file.content;
      return response;
    };
    router.Add({"GET", std::string(file.path), Audience::kAnybody, serve});
    if (file.path == "/index.html") router.Add({"GET", "/", Audience::kAnybody, serve});
  }
}

}  // namespace keystead::console
