// Packed cache files: what was written is found again, and every kind of damage is a FORMAT error.
#include "base/status.h"
#include "load/packed_file.h"
#include "load/packed_writer.h"
#include "weights/packed_format.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

using namespace abyssal;
namespace fs = std::filesystem;

namespace {

class Folder {
public:
  Folder() {
    std::string pattern = (fs::temp_directory_path() / "packed-XXXXXX").string();
    REQUIRE(mkdtemp(pattern.data()) != nullptr);
    path_ = pattern;
  }
  ~Folder() { fs::remove_all(path_); }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  std::string file(const char *name) const { return (path_ / name).string(); }
  std::size_t files() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(path_), fs::directory_iterator()));
  }

private:
  fs::path path_;
};

std::vector<std::byte> noise(std::size_t count) {
  std::vector<std::byte> bytes(count);
  for (std::size_t i = 0; i < count; ++i)
    bytes[i] = static_cast<std::byte>(i * 31 + i / 7);
  return bytes;
}

void write_two(const std::string &path) {
  PackedWriter writer(path, "what it was made from");
  writer.add("first", noise(5000));
  writer.add("second", noise(300));
  writer.finish();
}

std::string read(const std::string &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const std::string &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

aby_status open_status(const std::string &path, const std::string &identity = "what it was made from") {
  try {
    PackedFile::open(path, identity);
    return ABY_OK;
  } catch (const Error &error) {
    CHECK(error.text().find(path) != std::string::npos);
    return error.status();
  }
}

} // namespace

TEST_CASE("images come back, aligned, under their names") {
  const Folder folder;
  write_two(folder.file("cache"));
  CHECK(folder.files() == 1);
  const auto file = PackedFile::open(folder.file("cache"), "what it was made from");
  for (const auto &[name, bytes] : {std::pair{"first", 5000}, {"second", 300}}) {
    const auto want = noise(static_cast<std::size_t>(bytes));
    const auto got = file->find(name);
    CHECK(std::equal(got.begin(), got.end(), want.begin(), want.end()));
    CHECK(reinterpret_cast<std::uintptr_t>(got.data()) % kPackedAlignment == 0);
  }
  CHECK(file->find("third").empty());
  file->check_images();
}

TEST_CASE("a file of another identity, and one that is not there") {
  const Folder folder;
  write_two(folder.file("cache"));
  CHECK(open_status(folder.file("cache"), "something else") == ABY_ERROR_FORMAT);
  CHECK(open_status(folder.file("none")) == ABY_ERROR_NOT_FOUND);
}

TEST_CASE("a writer that does not finish leaves what was there") {
  const Folder folder;
  write_two(folder.file("cache"));
  {
    PackedWriter writer(folder.file("cache"), "newer");
    writer.add("first", noise(10));
    CHECK(folder.files() == 2);
  }
  CHECK(folder.files() == 1);
  CHECK(open_status(folder.file("cache")) == ABY_OK);
  CHECK_THROWS_AS(PackedWriter(folder.file("missing/cache"), "x"), Error);
}

TEST_CASE("every changed byte outside of the images is refused when opened; inside, when checked") {
  const Folder folder;
  const std::string path = folder.file("cache");
  write_two(path);
  const std::string good = read(path);
  PackedPrologue prologue;
  std::copy_n(good.data(), sizeof prologue, reinterpret_cast<char *>(&prologue));
  for (std::size_t i = 0; i < good.size(); ++i) {
    const bool header = i < sizeof prologue || i >= prologue.index_offset;
    const bool image = !header && ((i >= 4096 && i < 4096 + 5000) || (i >= 12288 && i < 12288 + 300));
    if (!header && i % 97 != 0)
      continue;
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 0x20);
    write(path, bad);
    INFO("byte " << i);
    if (header) {
      CHECK(open_status(path) == ABY_ERROR_FORMAT);
      continue;
    }
    const auto file = PackedFile::open(path, "what it was made from");
    if (image)
      CHECK_THROWS_AS(file->check_images(), Error);
    else
      file->check_images(); // padding
  }
}

TEST_CASE("every truncation is refused") {
  const Folder folder;
  const std::string path = folder.file("cache");
  write_two(path);
  const std::string good = read(path);
  for (std::size_t length = 0; length < good.size(); length += length < 100 || length + 200 > good.size() ? 1 : 501) {
    write(path, good.substr(0, length));
    INFO("length " << length);
    CHECK(open_status(path) == ABY_ERROR_FORMAT);
  }
  write(path, good + "x");
  CHECK(open_status(path) == ABY_ERROR_FORMAT);
}
