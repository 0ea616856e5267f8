// The reader on good files and on every kind of damage.
#include "base/status.h"
#include "weights/safetensors.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <unistd.h>

using namespace abyssal;

namespace {

namespace fs = std::filesystem;

class Folder {
public:
  Folder() : path_(fs::temp_directory_path() / ("abyssal-weights-" + std::to_string(getpid()))) {
    fs::remove_all(path_);
    fs::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  std::string path() const { return path_.string(); }
  void write(const std::string &name, const std::string &bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
  }

private:
  fs::path path_;
};

std::string file_of(const std::string &header, std::size_t data, std::uint64_t length) {
  std::string bytes(reinterpret_cast<const char *>(&length), 8);
  return bytes + header + std::string(data, 'x');
}
std::string file_of(const std::string &header, std::size_t data) { return file_of(header, data, header.size()); }

// Opens a folder with this one file and returns the error's status and text.
Error failure(const std::string &bytes) {
  const Folder folder;
  folder.write("model.safetensors", bytes);
  try {
    open_safetensors_folder(folder.path());
  } catch (const Error &error) {
    return error;
  }
  return {ABY_OK, "opened"};
}

void refused(const std::string &bytes, const std::vector<std::string> &parts) {
  const Error error = failure(bytes);
  INFO(error.text());
  CHECK(error.status() == ABY_ERROR_FORMAT);
  CHECK(error.text().find("model.safetensors") != std::string::npos);
  for (const std::string &part : parts) {
    INFO(part);
    CHECK(error.text().find(part) != std::string::npos);
  }
}

const std::string kTwo = R"({"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                         R"("b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}})";

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  const auto at = text.find(from);
  REQUIRE(at != std::string::npos);
  return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("a good file: names, shapes, bytes, origin") {
  const Folder folder;
  folder.write("model.safetensors", file_of(kTwo + "   ", 32));
  const auto source = open_safetensors_folder(folder.path());
  CHECK(source->names() == std::vector<std::string>{"a", "b"});
  const TensorView *a = source->find("a");
  REQUIRE(a != nullptr);
  CHECK(a->dtype == ABY_DTYPE_F32);
  CHECK(a->shape == std::vector<std::int64_t>{2, 3});
  CHECK(a->bytes == 24);
  CHECK(source->find("c") == nullptr);
  CHECK(source->origin("b").find("offset") != std::string::npos);
  CHECK(source->origin("b").find("BF16") != std::string::npos);
}

TEST_CASE("metadata, empty tensors and types without a name of ours are accepted") {
  const Folder folder;
  folder.write("model.safetensors",
               file_of(R"({"__metadata__":{"format":"pt"},"e":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},)"
                       R"("d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}})",
                       8));
  const auto source = open_safetensors_folder(folder.path());
  CHECK(source->find("d")->dtype == ABY_DTYPE_AUTO);
  CHECK(source->origin("d").find("F64") != std::string::npos);
  CHECK(source->find("e")->bytes == 0);
}

TEST_CASE("data at an odd offset is not read in place") {
  const Folder folder;
  folder.write("model.safetensors", file_of(replaced(kTwo, "}}", "}} "), 32)); // shifts the data by one byte
  const auto source = open_safetensors_folder(folder.path());
  const bool aligned = reinterpret_cast<std::uintptr_t>(source->find("a")->data) % 4 == 0;
  CHECK(source->stays_in_place("a") == aligned);
}

TEST_CASE("headers that are no headers") {
  refused("", {"0 bytes"});
  refused("1234567", {"7 bytes"});
  refused(file_of(kTwo, 32, 1000), {"header length", "1000"});
  refused(file_of(kTwo, 32, ~std::uint64_t{0}), {"header length"});
  refused(file_of("{\"a\":", 0), {"JSON"});
  refused(file_of("[1]", 0), {"not a JSON object"});
  refused(file_of("\xff\xfe", 0), {"JSON"});
  refused(file_of("{\"a\":" + std::string(1000, '[') + std::string(1000, ']') + "}", 0), {"nested"});
}

TEST_CASE("entries that contradict themselves, the file or each other") {
  refused(file_of(replaced(kTwo, "[0,24]", "[0,20]"), 32), {"tensor a", "20 bytes", "24"});
  refused(file_of(replaced(kTwo, "[24,32]", "[24,40]"), 32), {"tensor b", "40", "exceeds"});
  refused(file_of(replaced(kTwo, "[24,32]", "[32,24]"), 32), {"tensor b"});
  refused(file_of(replaced(kTwo, "[24,32]", "[20,28]"), 32), {"tensor b", "overlaps"});
  refused(file_of(replaced(kTwo, "[24,32]", "[28,36]"), 36), {"tensor b", "no tensor covers"});
  refused(file_of(kTwo, 40), {"end at offset"});
  refused(file_of(replaced(kTwo, "[24,32]", "[24,18446744073709551615]"), 32), {"tensor b"});
  refused(file_of(replaced(kTwo, "[24,32]", "[-8,0]"), 32), {"tensor b", "-8"});
  refused(file_of(replaced(kTwo, "[24,32]", "[24.5,32]"), 32), {"tensor b", "24.5"});
  refused(file_of(replaced(kTwo, "[4]", "[4294967296,4294967296,4294967296]"), 32), {"tensor b", "overflows"});
  refused(file_of(replaced(kTwo, "[4]", "[-4]"), 32), {"tensor b", "-4"});
  refused(file_of(replaced(kTwo, "[4]", "\"4\""), 32), {"tensor b", "shape"});
  refused(file_of(replaced(kTwo, "BF16", "FP4"), 32), {"tensor b", "FP4"});
  refused(file_of(replaced(kTwo, "\"BF16\"", "3"), 32), {"tensor b", "dtype"});
  refused(file_of(replaced(kTwo, "\"b\"", "\"a\""), 32), {"tensor a", "twice"});
  refused(file_of(R"({"a":5})", 0), {"tensor a"});
}

TEST_CASE("shards: what the index says must be so") {
  const auto check = [](const std::string &index, aby_status status, const std::string &part) {
    const Folder folder;
    folder.write("one.safetensors", file_of(kTwo, 32));
    folder.write("model.safetensors.index.json", index);
    try {
      open_safetensors_folder(folder.path());
      CHECK(status == ABY_OK);
    } catch (const Error &error) {
      INFO(error.text());
      CHECK(error.status() == status);
      CHECK(error.text().find(part) != std::string::npos);
    }
  };
  check(R"({"weight_map":{"a":"one.safetensors","b":"one.safetensors"}})", ABY_OK, "");
  check(R"({"weight_map":{"a":"one.safetensors","c":"one.safetensors"}})", ABY_ERROR_FORMAT, "tensor c");
  check(R"({"weight_map":{"a":"two.safetensors"}})", ABY_ERROR_NOT_FOUND, "two.safetensors");
  check(R"({"weight_map":{"a":"../one.safetensors"}})", ABY_ERROR_FORMAT, "../one.safetensors");
  check(R"({"weight_map":{"a":"/etc/passwd"}})", ABY_ERROR_FORMAT, "/etc/passwd");
  check(R"({"weight_map":{"a":7}})", ABY_ERROR_FORMAT, "tensor a");
  check(R"({"weight_map":[]})", ABY_ERROR_FORMAT, "weight_map");
  check("{", ABY_ERROR_FORMAT, "JSON");
}

TEST_CASE("a tensor in two shards, several files without an index, no file at all") {
  const Folder folder;
  CHECK_THROWS_AS(open_safetensors_folder(folder.path()), Error);
  folder.write("one.safetensors", file_of(kTwo, 32));
  CHECK(open_safetensors_folder(folder.path())->names().size() == 2);
  folder.write("two.safetensors", file_of(kTwo, 32));
  CHECK_THROWS_WITH(open_safetensors_folder(folder.path()), doctest::Contains("index"));
  folder.write("model.safetensors.index.json", R"({"weight_map":{"a":"one.safetensors","b":"two.safetensors"}})");
  CHECK_THROWS_WITH(open_safetensors_folder(folder.path()), doctest::Contains("also in"));
}

TEST_CASE("any change of a byte is read or refused, never more") {
  const std::string good = file_of(kTwo, 32);
  std::mt19937 random(1);
  int opened = 0;
  for (int i = 0; i < 3000; ++i) {
    std::string bytes = good;
    for (unsigned n = 0; n <= random() % 3; ++n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    if (random() % 4 == 0)
      bytes.resize(random() % bytes.size());
    const aby_status status = failure(bytes).status();
    CHECK((status == ABY_OK || status == ABY_ERROR_FORMAT));
    opened += status == ABY_OK ? 1 : 0;
  }
  CHECK(opened > 0);
  CHECK(opened < 3000);
}
