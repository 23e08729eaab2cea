#include "tests/unit/mobile_stub/console/schema.h"

#include <regex.h>

#include <fstream>
#include <set>

namespace keystead::console::testing {
namespace {

using nlohmann::json;

// POSIX's extended expressions, which the patterns in use are as well; std::regex recurses for each
// character.
bool Matches(const std::string& text, const std::string& pattern) {
  regex_t compiled;
  if (regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return false;
  const bool fits = regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  regfree(&compiled);
  return fits;
}

bool IsOfType(const json& value, const std::string& type) {
  if (type == "object") return value.is_object();
  if (type == "array") return value.is_array();
  if (type == "string") return value.is_string();
  if (type == "integer") return value.is_number_integer();
  if (type == "number") return value.is_number();
  if (type == "boolean") return value.is_boolean();
  return type == "null" && value.is_null();
}

bool IsOfAnyType(const json& value, const json& types) {
  if (types.is_string()) return IsOfType(value, types.get<std::string>());
  return std::ranges::any_of(types,
                             [&](const json& type) { return IsOfType(value, type.get<std::string>()); });
}

}  // namespace

Schema Schema::FromFile(const std::string& path) {
  std::ifstream file(path);
  return Schema(json::parse(file));
}

std::vector<std::string> Schema::Check(const json& value, const json& schema,
                                       const std::string& place) const {
  std::vector<std::string> wrong;
  const auto add = [&](const std::string& what) { wrong.push_back(place + ": " + what); };
  const auto also = [&](std::vector<std::string> more) {
    wrong.insert(wrong.end(), more.begin(), more.end());
  };
  for (const auto& [keyword, rule] : schema.items()) {
    if (keyword == "$ref") {
      also(Check(value, document_.at(json::json_pointer(rule.get<std::string>().substr(1))), place));
    } else if (keyword == "type") {
      if (!IsOfAnyType(value, rule)) add("is " + value.dump().substr(0, 80) + ", not of type " + rule.dump());
    } else if (keyword == "enum") {
      if (std::ranges::find(rule, value) == rule.end()) add(value.dump() + " is none of " + rule.dump());
    } else if (keyword == "pattern") {
      if (value.is_string() && !Matches(value.get<std::string>(), rule.get<std::string>())) {
        add(value.dump() + " does not match " + rule.dump());
      }
    } else if (keyword == "oneOf") {
      const auto fits =
          std::ranges::count_if(rule, [&](const json& one) { return Check(value, one).empty(); });
      if (fits != 1) add("fits " + std::to_string(fits) + " of the alternatives: " + value.dump());
    } else if (keyword == "required" && value.is_object()) {
      for (const json& name : rule) {
        if (!value.contains(name.get<std::string>())) add("has no " + name.dump());
      }
    } else if (keyword == "properties" && value.is_object()) {
      for (const auto& [name, inner] : rule.items()) {
        if (value.contains(name)) also(Check(value[name], inner, place + "/" + name));
      }
    } else if (keyword == "additionalProperties" && value.is_object()) {
      for (const auto& [name, inner] : value.items()) {
        if (!schema.at("properties").contains(name)) add("has '" + name + "', which is not described");
      }
    } else if (keyword == "items" && value.is_array()) {
      for (size_t i = 0; i < value.size(); ++i) also(Check(value[i], rule, place + "/" + std::to_string(i)));
    } else if (keyword == "minItems" || keyword == "maxItems") {
      const auto bound = rule.get<size_t>();
      if (keyword == "minItems" ? value.size() < bound : value.size() > bound)
        add("has " + std::to_string(value.size()) + " items");
    } else if (keyword != "description" && keyword != "required" && keyword != "properties" &&
               keyword != "additionalProperties" && keyword != "items") {
      add("the description uses the keyword " + keyword + ", which is not checked");
    }
  }
  return wrong;
}

}  // namespace keystead::console::testing
