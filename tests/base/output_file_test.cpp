#include "base/output_file.h"
#include "base/status.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>

using namespace abyssal;

namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() { fs::create_directory(path); }
  ~Folder() { fs::remove_all(path); }
  std::string file(const std::string &name) const { return (path / name).string(); }
  std::ptrdiff_t entries() const { return std::distance(fs::directory_iterator(path), {}); }

  const fs::path path = fs::temp_directory_path() / ("abyssal-output-" + std::to_string(getpid()));
};

void write_whole(const std::string &path, const std::string &text) {
  OutputFile file(path);
  file.write(0, std::as_bytes(std::span(text)));
  file.finish();
}

std::string contents(const std::string &path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

} // namespace

TEST_CASE("a file has its name only when it is whole") {
  const Folder folder;
  const std::string path = folder.file("whole");
  {
    OutputFile unfinished(path);
    CHECK_FALSE(fs::exists(path));
  }
  CHECK(folder.entries() == 0);
  write_whole(path, "first");
  write_whole(path, "second");
  CHECK(contents(path) == "second");
  CHECK(folder.entries() == 1);
}

// Another copy of the library in this process counts from 0 too, as the processes before one that has their number did.
TEST_CASE("temporary names that are taken are passed over, and left alone") {
  const Folder folder;
  const std::string path = folder.file("taken");
  for (int i = 0; i < 100; ++i)
    std::ofstream(path + "." + std::to_string(getpid()) + "." + std::to_string(i) + ".tmp") << "another's";
  write_whole(path, "mine");
  CHECK(contents(path) == "mine");
  CHECK(folder.entries() == 101);
}

TEST_CASE("a file in no folder cannot be made") {
  try {
    OutputFile file("/no/such/folder/file");
    FAIL("it was made");
  } catch (const Error &error) {
    CHECK(error.status() == ABY_ERROR_IO);
    CHECK(error.text().find("/no/such/folder/file") != std::string::npos);
  }
}
