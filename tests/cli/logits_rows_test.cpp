#include "cli/logits_rows.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() { fs::create_directory(path); }
  ~Folder() { fs::remove_all(path); }
  std::string file(const std::string &name, const std::string &content) const {
    std::ofstream(path / name, std::ios::binary) << content;
    return (path / name).string();
  }

  const fs::path path = fs::temp_directory_path() / ("abyssal-rows-" + std::to_string(getpid()));
};

// Where temporary files go while it lives.
struct TemporaryFolder {
  explicit TemporaryFolder(const fs::path &path) { setenv("TMPDIR", path.c_str(), 1); }
  ~TemporaryFolder() {
    if (had)
      setenv("TMPDIR", before.c_str(), 1);
    else
      unsetenv("TMPDIR");
  }
  const bool had = std::getenv("TMPDIR") != nullptr;
  const std::string before = had ? std::getenv("TMPDIR") : "";
};

std::string bytes_of(const std::vector<float> &values) {
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)};
}

std::string npy(const std::string &description, const std::string &data) {
  std::string header(description + "\n");
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + std::string(1, '\0') + header + data;
}

} // namespace

TEST_CASE("rows come back from memory and from a file that has no name") {
  const Folder folder;
  const TemporaryFolder temporary(folder.path);
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  for (const bool in_memory : {true, false}) {
    cli::KeptRows rows(3, 2, in_memory ? 24 : 23);
    CHECK(rows.in_memory() == in_memory);
    for (std::size_t i = 0; i < 3; ++i)
      rows.append(values.data() + 2 * i);
    CHECK(std::distance(fs::directory_iterator(folder.path), {}) == 0);
    for (const std::size_t i : {2u, 0u, 1u}) {
      CHECK(rows.row(i)[0] == values[2 * i]);
      CHECK(rows.row(i)[1] == values[2 * i + 1]);
    }
  }
}

TEST_CASE("a temporary folder that is not there is named") {
  const TemporaryFolder temporary("/nowhere");
  std::string error;
  try {
    cli::KeptRows(3, 2, 0);
  } catch (const std::exception &thrown) {
    error = thrown.what();
  }
  CHECK_MESSAGE(error.find("/nowhere") != std::string::npos, error);
}

TEST_CASE("logits of a file: bare float32 and .npy") {
  const Folder folder;
  const std::string data = bytes_of({1, 2, 3, 4, 5, 6});
  const std::string good = "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 2), }";
  for (const std::string &path : {folder.file("bare", data), folder.file("a.npy", npy(good, data))}) {
    cli::RowFile file = cli::open_logits_file(path, 3, 2);
    CHECK(file.read(2)[1] == 6);
    CHECK(file.read(0)[0] == 1);
  }
  const auto refused = [&](const std::string &content, const std::string &reason) {
    const std::string path = folder.file("wrong", content);
    std::string error;
    try {
      cli::open_logits_file(path, 3, 2);
    } catch (const std::runtime_error &thrown) {
      error = thrown.what();
    }
    CHECK_MESSAGE(error.rfind(path + ": " + reason, 0) == 0, error);
  };
  refused(data + "x", "has 25 bytes; logits of shape (3, 2) in float32 have 24");
  refused("", "has 0 bytes");
  refused(npy(good, data.substr(4)), "has ");
  refused(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", data), "has no 'shape': (3, 2) but {");
  refused(npy("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 2), }", data), "has no 'descr': '<f4' but {");
  refused(npy(good, "").substr(0, 20), "its header is damaged");
  CHECK_THROWS(cli::open_logits_file(folder.path.string(), 3, 2));
  CHECK_THROWS(cli::open_logits_file((folder.path / "absent").string(), 3, 2));
}
