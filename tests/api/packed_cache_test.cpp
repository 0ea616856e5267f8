// The packed cache of a model, through the C API: the same results from it, and whatever is wrong with it is a warning.
#include "support/api.h"

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <unistd.h>
#include <vector>

namespace {

using namespace test;
namespace fs = std::filesystem;

const std::string kGguf = std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/tiny-v2-lite-Q4_1.gguf";

const std::string kTied = std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/tiny-qwen2-Q4_K_M.gguf";

// An empty folder.
class Folder {
public:
  Folder() {
    static int counter = 0;
    path_ =
        fs::temp_directory_path() / ("abyssal-packed-" + std::to_string(getpid()) + "-" + std::to_string(counter++));
    fs::create_directories(path_);
  }
  ~Folder() {
    std::error_code ignored;
    fs::permissions(path_, fs::perms::owner_all, ignored);
    fs::remove_all(path_, ignored);
  }
  Folder(const Folder &) = delete;
  Folder &operator=(const Folder &) = delete;
  const fs::path &path() const { return path_; }
  std::vector<fs::path> files() const {
    std::vector<fs::path> all;
    for (const auto &item : fs::directory_iterator(path_))
      all.push_back(item.path());
    return all;
  }
  fs::path only() const {
    REQUIRE(files().size() == 1);
    return files().front();
  }

private:
  fs::path path_;
};

struct Opened {
  std::vector<float> logits;
  bool from_cache = false;
  std::uint64_t mapped = 0;
  std::vector<std::string> warnings;
};

struct Wanted {
  std::string path = kGguf;
  const char *cache = nullptr;
  aby_weights_kind weights = ABY_WEIGHTS_STORED;
  bool check = false;
  const char *backend = "cpu";
};

Opened open_and_run(const Wanted &wanted) {
  Opened result;
  aby_model_options options = model_options();
  options.backend = wanted.backend;
  options.cache_tokens = 512;
  options.weights = wanted.weights;
  options.packed_cache = wanted.cache;
  options.packed_cache_check = wanted.check ? 1 : 0;
  options.warning = [](void *to, const char *text) { static_cast<std::vector<std::string> *>(to)->emplace_back(text); };
  options.warning_context = &result.warnings;
  const Model model = open(wanted.path, options);
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  result.from_cache = info.packed_cache != 0;
  result.mapped = info.mapped_bytes;
  const Sequence s = sequence(model);
  eval(s, {3, 1, 4, 1, 5, 9, 2, 6}, eval_options());
  result.logits = logits(s);
  return result;
}

std::string read(const fs::path &path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write(const fs::path &path, const std::string &bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

} // namespace

TEST_CASE("the second opening maps what the first has written, and gives the same bits") {
  for (const Wanted &kind : {Wanted{}, Wanted{checkpoint("tiny-v3-fp8"), nullptr, ABY_WEIGHTS_INT8},
                             Wanted{checkpoint("tiny-r1-distill-qwen"), nullptr, ABY_WEIGHTS_INT4}, Wanted{kTied}}) {
    CAPTURE(kind.path);
    const Folder folder;
    const std::string place = folder.path().string();
    Wanted wanted = kind;
    const Opened plain = open_and_run(wanted);
    CHECK_FALSE(plain.from_cache);
    wanted.cache = place.c_str();
    const Opened first = open_and_run(wanted);
    CHECK_FALSE(first.from_cache);
    CHECK(first.logits == plain.logits);
    const std::string written = read(folder.only());
    // Weights that another version of the rounding has made are other weights.
    CHECK((written.find("rounding ") != std::string::npos) == (kind.weights != ABY_WEIGHTS_STORED));
    for (const bool check : {false, true}) {
      wanted.check = check;
      const Opened second = open_and_run(wanted);
      CHECK(second.from_cache);
      CHECK(second.logits == plain.logits);
      CHECK(second.mapped > plain.mapped);
      CHECK(second.warnings.empty());
    }
    CHECK(read(folder.only()) == written);
  }
}

TEST_CASE("beside the model, where a file for each way of holding weights is kept") {
  const Folder folder;
  fs::copy(kGguf, folder.path());
  Wanted wanted;
  wanted.path = folder.only().string();
  wanted.cache = "";
  open_and_run(wanted);
  CHECK(open_and_run(wanted).from_cache);
  CHECK(folder.files().size() == 2);
  wanted.weights = ABY_WEIGHTS_INT8;
  CHECK_FALSE(open_and_run(wanted).from_cache);
  CHECK(folder.files().size() == 3);
}

TEST_CASE("a changed checkpoint is noticed, and the file made anew") {
  const Folder folder, model;
  fs::copy(kGguf, model.path());
  const std::string place = folder.path().string();
  Wanted wanted;
  wanted.path = model.only().string();
  wanted.cache = place.c_str();
  open_and_run(wanted);
  fs::last_write_time(wanted.path, fs::last_write_time(wanted.path) + std::chrono::seconds(2));
  const Opened changed = open_and_run(wanted);
  CHECK_FALSE(changed.from_cache);
  REQUIRE(changed.warnings.size() == 1);
  CHECK(changed.warnings[0].find(folder.only().string()) != std::string::npos);
  CHECK(open_and_run(wanted).from_cache);
}

TEST_CASE("a damaged file is made anew: always where its index is, else when a check is asked for") {
  const Folder folder;
  const std::string place = folder.path().string();
  Wanted wanted;
  wanted.cache = place.c_str();
  const Opened first = open_and_run(wanted);
  const std::string good = read(folder.only());
  const auto damaged = [&](std::size_t byte, std::size_t length) {
    std::string bad = good.substr(0, length);
    bad[std::min(byte, length - 1)] ^= 1;
    write(folder.only(), bad);
    const Opened opened = open_and_run(wanted);
    CHECK(opened.logits == first.logits);
    CHECK_FALSE(opened.from_cache);
    CHECK(opened.warnings.size() == 1);
    CHECK(read(folder.only()) == good);
  };
  damaged(20, good.size());
  damaged(good.size() - 5, good.size());
  damaged(0, good.size() / 2);
  damaged(0, 1);
  wanted.check = true;
  damaged(4100, good.size());
}

TEST_CASE("a folder that cannot be written to, or is none, is a warning") {
  Wanted wanted;
  wanted.cache = "/dev/null/none";
  const Opened none = open_and_run(wanted);
  CHECK(none.warnings.size() == 1);
  wanted.cache = nullptr;
  CHECK(none.logits == open_and_run(wanted).logits);
}

TEST_CASE("a file that cannot get its name is a warning, and leaves nothing") {
  const Folder folder;
  const std::string place = folder.path().string();
  Wanted wanted;
  wanted.cache = place.c_str();
  open_and_run(wanted);
  const fs::path name = folder.only();
  fs::remove(name);
  fs::create_directories(name / "in the way");
  const Opened opened = open_and_run(wanted);
  CHECK(opened.warnings.size() == 2); // it cannot be read, and not be replaced
  CHECK_FALSE(opened.from_cache);
  CHECK(folder.files().size() == 1);
}

TEST_CASE("backends without images write nothing") {
  const Folder folder;
  const std::string place = folder.path().string();
  Wanted wanted;
  wanted.cache = place.c_str();
  wanted.backend = "reference";
  const Opened opened = open_and_run(wanted);
  CHECK_FALSE(opened.from_cache);
  CHECK(opened.warnings.empty());
  CHECK(folder.files().empty());
}
