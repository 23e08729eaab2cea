// Whether a value is what openapi.json says of it: the part of JSON Schema 2020-12 that the description uses,
// and nothing may be there that is not described.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace keystead::console::testing {

class Schema {
 public:
  explicit Schema(nlohmann::json document) : document_(std::move(document)) {}
  static Schema FromFile(const std::string& path);

  const nlohmann::json& document() const { return document_; }
  // What is wrong, each with its place; empty when nothing is. An unknown keyword is wrong as well.
  std::vector<std::string> Check(const nlohmann::json& value, const nlohmann::json& schema,
                                 const std::string& place = "") const;

 private:
  nlohmann::json document_;
};

}  // namespace keystead::console::testing
