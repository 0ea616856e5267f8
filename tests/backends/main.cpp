// Runs the tests. With --skip-without-cap it exits with 77, ctest's "skipped", where ABYSSAL_ISA takes nothing away
// from the processor: the run without it is the same.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#if ABYSSAL_TEST_CPU
#include "backends/cpu/device/isa.h"

#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

// Why not to run; empty where the cap makes a difference.
std::string reason_to_skip() {
  using namespace abyssal::cpu;
  const char *given = std::getenv("ABYSSAL_ISA");
  const std::string cap = given == nullptr ? "" : given;
  const Isa capped = detect_isa();
  unsetenv("ABYSSAL_ISA");
  const Isa whole = detect_isa();
  if (!cap.empty())
    setenv("ABYSSAL_ISA", cap.c_str(), 1);
  if (capped < whole)
    return "";
  const std::string has = isa_text(whole);
  const bool reached = (" " + has + " ").find(" " + cap + " ") != std::string::npos;
  return reached ? "this processor has no more than " + has + ", which the tests have used without ABYSSAL_ISA=" + cap
                 : "this processor has " + has + " and no " + cap;
}

} // namespace
#endif

int main(int argc, char **argv) {
#if ABYSSAL_TEST_CPU
  for (int i = 1; i < argc; ++i) {
    if (std::string(argv[i]) != "--skip-without-cap")
      continue;
    const std::string reason = reason_to_skip();
    if (!reason.empty()) {
      std::printf("skipped: %s\n", reason.c_str());
      return 77;
    }
  }
#endif
  return doctest::Context(argc, argv).run();
}
