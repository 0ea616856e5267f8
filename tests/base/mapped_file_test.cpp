#include "base/mapped_file.h"
#include "base/status.h"

#include <doctest/doctest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace abyssal;

namespace {

aby_status status_of(const std::string &path) {
  try {
    MappedFile::open(path);
    return ABY_OK;
  } catch (const Error &error) {
    CHECK(error.text().find(path) != std::string::npos);
    return error.status();
  }
}

} // namespace

TEST_CASE("a file maps to its bytes, which outlive its name") {
  const auto path = std::filesystem::temp_directory_path() / ("abyssal-mapped-" + std::to_string(getpid()));
  std::ofstream(path) << "twelve bytes";
  const auto file = MappedFile::open(path.string());
  CHECK(read_text_file(path.string()) == "twelve bytes");
  std::filesystem::remove(path);
  REQUIRE(file->bytes().size() == 12);
  CHECK(std::memcmp(file->bytes().data(), "twelve bytes", 12) == 0);

  std::ofstream{path};
  CHECK(MappedFile::open(path.string())->bytes().empty());
  CHECK(read_text_file(path.string()).empty());
  std::filesystem::remove(path);
}

TEST_CASE("what cannot be mapped is refused by name") {
  CHECK(status_of("/nowhere/at/all") == ABY_ERROR_NOT_FOUND);
  CHECK(status_of("/proc/self/status/x") == ABY_ERROR_NOT_FOUND);
  CHECK(status_of(std::filesystem::temp_directory_path().string()) == ABY_ERROR_IO);
  CHECK(status_of("/dev/null") == ABY_ERROR_IO);
}
