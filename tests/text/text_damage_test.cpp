// Damaged tokenizer files: a status and a text, never a crash, and nothing on stderr.
#include "text/tokenizer.h"

#include "text_data.h"

#include <cstdio>
#include <doctest/doctest.h>
#include <fcntl.h>
#include <random>
#include <unistd.h>

using abyssal::Tokenizer;
using abyssal::test::error_of;
using abyssal::test::read_data;

namespace {

// Sends stderr to a temporary file for the life of the object.
class StderrCapture {
public:
  StderrCapture() : file_(std::tmpfile()), saved_(dup(STDERR_FILENO)) { dup2(fileno(file_), STDERR_FILENO); }
  ~StderrCapture() {
    restore();
    std::fclose(file_);
  }
  StderrCapture(const StderrCapture &) = delete;
  StderrCapture &operator=(const StderrCapture &) = delete;

  long written() {
    restore();
    std::fseek(file_, 0, SEEK_END);
    return std::ftell(file_);
  }

private:
  void restore() {
    if (saved_ >= 0) {
      dup2(saved_, STDERR_FILENO);
      close(saved_);
      saved_ = -1;
    }
  }
  std::FILE *file_;
  int saved_;
};

void check_refused(const std::string &json, const std::string &config = "") {
  const auto error = error_of([&] { (void)Tokenizer::create(json, config, "some/origin"); });
  REQUIRE(error);
  CHECK(error->status() == ABY_ERROR_FORMAT);
  CHECK(error->text().find("some/origin") != std::string::npos);
  CHECK(error->text().size() < 2000);
}

} // namespace

TEST_CASE("damaged tokenizer.json") {
  const std::string good = read_data("conformance/tiny-v3/tokenizer.json");
  StderrCapture capture;
  check_refused("");
  check_refused("\0\0\0");
  check_refused("null");
  check_refused("[]");
  check_refused("{}");
  check_refused("\xff\xfe");
  check_refused(std::string(200'000, '['));
  for (std::size_t length : {1, 2, 100, 1000, 5000, 20000})
    check_refused(good.substr(0, length));
  check_refused(good.substr(0, good.size() - 3));

  const nlohmann::json json = nlohmann::json::parse(good);
  const auto changed = [&](const char *pointer, const nlohmann::json &value) {
    nlohmann::json copy = json;
    copy[nlohmann::json::json_pointer(pointer)] = value;
    return copy.dump();
  };
  check_refused(changed("/model", nullptr));
  check_refused(changed("/model", 3));
  check_refused(changed("/model/type", "NoSuchModel"));
  check_refused(changed("/model/vocab", nlohmann::json::array()));
  check_refused(changed("/model/vocab/a", -1));
  check_refused(changed("/model/vocab/a", 1e300));
  check_refused(changed("/model/vocab/a", 99999999999ULL));
  check_refused(changed("/model/vocab/a", 4000000000ULL)); // a u32, but no vocabulary
  check_refused(changed("/model/vocab/a", "x"));
  check_refused(changed("/model/merges/0", 3));
  check_refused(changed("/model/merges/0", {"never", "heard"}));
  check_refused(changed("/added_tokens", 3));
  check_refused(changed("/added_tokens/0", nlohmann::json::object()));
  check_refused(changed("/added_tokens/0/id", 4294967296ULL));
  check_refused(changed("/added_tokens/0/content", 7));
  check_refused(changed("/pre_tokenizer/type", "NoSuch"));
  check_refused(changed("/pre_tokenizer/pretokenizers/0/pattern/Regex", "(unclosed"));
  check_refused(changed("/pre_tokenizer/pretokenizers/0/pattern/Regex", std::string(100'000, '(')));
  check_refused(changed("/decoder/type", "NoSuch"));
  CHECK(capture.written() == 0);
}

TEST_CASE("damaged tokenizer_config.json") {
  const std::string good = read_data("conformance/tiny-v3/tokenizer.json");
  for (const char *config : {"{", "[]", "3", "\xff", "{\"a\": }"})
    check_refused(good, config);
  // Wrong types of entries are as good as none.
  const auto tokenizer =
      Tokenizer::create(good, R"({"bos_token": 3, "add_bos_token": "yes", "tokenizer_class": []})", "x");
  CHECK_FALSE(tokenizer->bos_token());
  CHECK_FALSE(tokenizer->adds_bos());
}

TEST_CASE("random damage never gets further than an error") {
  const std::string good = read_data("conformance/tiny-v3/tokenizer.json");
  std::mt19937 random(11);
  StderrCapture capture;
  for (int round = 0; round < 150; ++round) {
    std::string damaged = good;
    for (std::size_t i = 1 + random() % 4; i > 0; --i) {
      const std::size_t at = random() % damaged.size();
      static constexpr std::string_view kBytes = "{}[]\",:0-9\\n\xff";
      if (random() % 3 == 0)
        damaged.erase(at, 1 + random() % 50);
      else
        damaged[at] = kBytes[random() % kBytes.size()];
    }
    const auto error = error_of([&] {
      const auto tokenizer = Tokenizer::create(damaged, "", "x");
      (void)tokenizer->encode("Hello, world! 123 你好 <｜User｜>", false);
      for (std::size_t id = 0; id < tokenizer->vocab_size(); ++id)
        (void)tokenizer->token_bytes(static_cast<std::int32_t>(id));
    });
    if (error)
      CHECK((error->status() == ABY_ERROR_FORMAT || error->status() == ABY_ERROR_UNSUPPORTED));
  }
  CHECK(capture.written() == 0);
}
