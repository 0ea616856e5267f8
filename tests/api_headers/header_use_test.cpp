// Runs what the other files of this folder compiled in other languages.
#include <abyssal/abyssal.hpp>

#include <doctest/doctest.h>

extern "C" int use_header_in_c();
int use_header_in_cpp();
std::string version_of_other_file();

TEST_CASE("the headers in C99 and C++11, on the same library") {
  CHECK(use_header_in_c() == 0);
  CHECK(use_header_in_cpp() == 0);
}

TEST_CASE("the version is that of the header") {
  CHECK(version_of_other_file() == abyssal::version());
  CHECK(abyssal::version() == std::to_string(ABY_VERSION_MAJOR) + "." + std::to_string(ABY_VERSION_MINOR) + "." +
                                  std::to_string(ABY_VERSION_PATCH));
  CHECK(aby_version() == ABY_VERSION_MAJOR * 10000 + ABY_VERSION_MINOR * 100 + ABY_VERSION_PATCH);
}
