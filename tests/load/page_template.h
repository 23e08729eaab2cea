// page.html, put into the program by the build.
#pragma once

#include <string_view>

namespace keystead::load {

// Has the places @BODY@ and @METHOD@, once each.
extern const std::string_view kPageTemplate;

}  // namespace keystead::load
