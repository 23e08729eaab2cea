// Runs a fuzz target over a folder of inputs as an ordinary test: each file as it is, every truncation of it,
// one byte more, and every bit flipped in turn (of the first bytes of a long file).
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

constexpr size_t kMutatedBytes = 512;

// A copy of exactly the input's size, so that AddressSanitizer sees the first byte read beyond it.
void RunOne(const std::vector<uint8_t>& input, size_t size) {
  const std::vector<uint8_t> exact(input.begin(), input.begin() + static_cast<ptrdiff_t>(size));
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

size_t RunFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::vector<uint8_t> bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  RunOne(bytes, bytes.size());
  const size_t mutated = std::min(bytes.size(), kMutatedBytes);
  for (size_t size = 0; size < mutated; ++size) RunOne(bytes, size);
  for (size_t i = 0; i < mutated; ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      const uint8_t flip = static_cast<uint8_t>(1u << bit);
      bytes[i] ^= flip;
      RunOne(bytes, bytes.size());
      bytes[i] ^= flip;
    }
  }
  bytes.push_back(0);
  RunOne(bytes, bytes.size());
  return 2 + 9 * mutated;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
    return 2;
  }
  std::error_code error;
  size_t files = 0;
  size_t inputs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(argv[1], error)) {
    if (!entry.is_regular_file()) continue;
    ++files;
    inputs += RunFile(entry.path());
  }
  std::printf("%zu inputs from %zu files of %s\n", inputs, files, argv[1]);
  return error || files == 0 ? 1 : 0;  // an empty corpus would prove nothing
}
