// A program that has names of the static library's inside for things of its own, and templates that both use: each
// keeps to its own.
//
//   same_names MODEL_FOLDER
#include <abyssal/abyssal.hpp>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>

extern "C" int rust_eh_personality() { return 17; } // as any other Rust in the program would bring it

namespace abyssal {

struct ThreadPool { // of lib/base
  explicit ThreadPool(unsigned threads);
  unsigned threads;
};
ThreadPool::ThreadPool(unsigned count) : threads(100 + count) {}

const char *status_name(aby_status) noexcept { return "the program's"; } // of lib/base

} // namespace abyssal

int main(int argc, char **argv) {
  if (argc != 2)
    return 2;
  try {
    const auto pool = std::make_shared<abyssal::ThreadPool>(3U);
    const abyssal::model model(argv[1]);
    abyssal::sequence sequence(model);
    sequence.eval(model.tokenize("a text for " + std::to_string(pool->threads)));
    const bool apart = pool->threads == 103 && std::string(abyssal::status_name(ABY_OK)) == "the program's" &&
                       std::string(aby_status_name(ABY_ERROR_FORMAT)) == "ABY_ERROR_FORMAT" &&
                       rust_eh_personality() == 17;
    std::puts(apart ? "each keeps to its own" : "the library and the program have got at each other's names");
    return apart ? 0 : 1;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
