# Compiler cache, linker, warnings and libraries: everything that is the same for every target.

find_program(KEYSTEAD_CCACHE ccache)
if(KEYSTEAD_CCACHE)
  # The sloppiness settings are what ccache asks for where precompiled headers are in use. To depend on what the compiler
  # says it read, instead of preprocessing first, makes a first build a sixth shorter. (Not `cmake -E env`: starting cmake
  # costs a tenth of a second for each file.)
  set(CMAKE_CXX_COMPILER_LAUNCHER /usr/bin/env CCACHE_DEPEND=1 CCACHE_INODECACHE=1
      CCACHE_PCH_EXTSUM=1 CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime
      CCACHE_BASEDIR=${CMAKE_SOURCE_DIR} CCACHE_NOHASHDIR=1 ${KEYSTEAD_CCACHE})
endif()

# No object names the folder it was built in: a second clone finds the first one's objects in the cache.
add_compile_options(-ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  add_compile_options("SHELL:-Xclang -fno-pch-timestamp")  # ccache asks for it, too
endif()

find_program(KEYSTEAD_MOLD mold)
if(KEYSTEAD_MOLD AND NOT KEYSTEAD_FUZZ)
  add_link_options(-fuse-ld=mold)
endif()

if(KEYSTEAD_SANITIZE)
  add_compile_options(-fsanitize=${KEYSTEAD_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${KEYSTEAD_SANITIZE})
endif()
if(KEYSTEAD_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# On every target alike, because a precompiled header is only taken by a compiler with the same options.
add_compile_options(-pthread)
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(absl CONFIG REQUIRED)
find_package(Protobuf REQUIRED)
find_package(gRPC CONFIG REQUIRED)
find_package(RocksDB CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(prometheus-cpp CONFIG REQUIRED)  # how metrics are written down; who serves them is ours
find_package(GTest CONFIG REQUIRED)
# What a program takes on one thread another gives back, and first touches of fresh pages are dear: jemalloc, set up in
# core/program/program.cc, spares both (docs/benchmark.md). Sanitizers bring an allocator of their own.
find_library(KEYSTEAD_JEMALLOC jemalloc REQUIRED)

# Warnings are errors on our own targets only; see keystead_own().
add_library(keystead_warnings INTERFACE)
target_compile_options(keystead_warnings INTERFACE
  -Wall -Wextra -Werror -Wpedantic -Wconversion -Wno-sign-conversion -Wshadow -Wnon-virtual-dtor
  -Wold-style-cast -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  target_compile_options(keystead_warnings INTERFACE -Wthread-safety -Wno-gnu-zero-variadic-macro-arguments
    -Wno-missing-braces)
endif()
