# cmake -DOUTPUT=F -DFOLDER=page "-DFILES=a;b" -P embed_page.cmake: writes page_files.cc.
set(TYPE_html "text/html; charset=utf-8")
set(TYPE_css "text/css; charset=utf-8")
set(TYPE_js "text/javascript; charset=utf-8")
set(TYPE_svg "image/svg+xml")
set(TYPE_webmanifest "application/manifest+json")

string(JOIN "\n" text
  "// Made by embed_page.cmake."
  "#include \"mobile-stub/console/page_files.h\""
  ""
  "namespace keystead::console {"
  "namespace {"
  "constexpr PageFile kFiles[] = {" "")
foreach(name IN LISTS FILES)
  file(READ ${FOLDER}/${name} content)
  if(content MATCHES "\\)KSPAGE")
    message(FATAL_ERROR "${name} contains the end mark of a page")
  endif()
  string(REGEX REPLACE ".*\\." "" ending ${name})
  string(APPEND text "    {\"/${name}\", \"${TYPE_${ending}}\", R\"KSPAGE(${content})KSPAGE\"},\n")
endforeach()
string(APPEND text "};\n}  // namespace\n\nstd::span<const PageFile> PageFiles() { return kFiles; }\n\n}  // namespace keystead::console\n")
file(WRITE ${OUTPUT} "${text}")
