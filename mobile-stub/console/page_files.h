// The files of page/, as they are compiled into the program by embed_page.cmake.
#pragma once

#include <span>
#include <string_view>

namespace keystead::console {

struct PageFile {
  std::string_view path;  // "/index.html"
  std::string_view type;  // media type
  std::string_view content;
};

std::span<const PageFile> PageFiles();

}  // namespace keystead::console
