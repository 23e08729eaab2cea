// Prints the worked examples of docs/protocol.md as they stand there. Those marked (random) differ in every
// run.
#include <cstdio>

#include "tests/vectors/protocol_examples.h"

int main() {
  using namespace keystead::vectors;
  std::fputs(PrintProtocolExamples(MakeProtocolExamples()).c_str(), stdout);
  return 0;
}
