// The report as one page that needs nothing from outside: no script, no font, no picture.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace keystead::load {

std::string RenderPage(const nlohmann::json& report);

}  // namespace keystead::load
