// Tokenizer and chat template of GGUF files through the C API: ids equal Hugging Face's for every pre-tokenizer, with
// the vocabularies of the fixtures themselves.
#include "support/api.h"

#include <nlohmann/json.hpp>

#include <fstream>
#include <iterator>
#include <map>

namespace {

using namespace test;
using Ids = std::vector<std::int32_t>;

std::string gguf(const std::string &name) {
  return std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/" + name + ".gguf";
}

const std::map<std::string, std::string> kFixtures = {
    {"deepseek-llm", "tiny-v2-lite-Q4_1"},
    {"deepseek-v3", "tiny-v3-sharded-meta-Q8_0-00001-of-00002"},
    {"deepseek-r1-qwen", "tiny-qwen2-Q4_K_M"},
    {"llama-bpe", "tiny-llama-Q4_K_M"},
};

Ids tokenize(const Model &model, const std::string &text, std::uint32_t flags = ABY_TOKENIZE_DEFAULT) {
  std::size_t count = 0;
  ABY_REQUIRE(aby_model_tokenize(nullptr, 0, &count, model.get(), text.data(), text.size(), flags));
  Ids ids(count);
  ABY_REQUIRE(aby_model_tokenize(ids.data(), count, &count, model.get(), text.data(), text.size(), flags));
  return ids;
}

std::string detokenize(const Model &model, const Ids &ids) {
  std::size_t length = 0;
  ABY_REQUIRE(aby_model_detokenize(nullptr, 0, &length, model.get(), ids.data(), ids.size(), ABY_DETOKENIZE_DEFAULT));
  std::string text(length, '\0');
  ABY_REQUIRE(
      aby_model_detokenize(text.data(), length, &length, model.get(), ids.data(), ids.size(), ABY_DETOKENIZE_DEFAULT));
  return text;
}

std::string render(const Model &model, const std::string &messages) {
  std::size_t length = 0;
  ABY_REQUIRE(aby_model_render_chat(nullptr, 0, &length, model.get(), messages.data(), messages.size(), nullptr));
  std::string text(length, '\0');
  ABY_REQUIRE(
      aby_model_render_chat(text.data(), length, &length, model.get(), messages.data(), messages.size(), nullptr));
  return text;
}

} // namespace

TEST_CASE("ids of GGUF tokenizers equal Hugging Face's") {
  std::ifstream file(std::string(ABYSSAL_TEST_DATA) + "/text/gguf_tokenize.json");
  const nlohmann::json reference = nlohmann::json::parse(file);
  REQUIRE(reference["tokenizers"].size() == kFixtures.size());
  for (const auto &[pre, name] : kFixtures) {
    CAPTURE(pre);
    const Model model = open(gguf(name), "cpu");
    const auto &all = reference["tokenizers"][pre]["ids"];
    REQUIRE(all.size() == reference["texts"].size());
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto text = reference["texts"][i].get<std::string>();
      CAPTURE(text);
      const auto want = all[i].get<Ids>();
      CHECK(tokenize(model, text) == want);
      CHECK(detokenize(model, want) == text);
    }
  }
}

TEST_CASE("BOS, markers and the chat template of GGUF files") {
  const std::string bos = "<｜begin▁of▁sentence｜>";
  for (const auto &[pre, name] : kFixtures) {
    CAPTURE(pre);
    const Model model = open(gguf(name), "cpu");
    aby_model_info info;
    ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
    CHECK(info.has_tokenizer == 1);
    CHECK(info.has_chat_template == 1);
    CHECK(info.reasons == 1);
    CHECK(tokenize(model, bos) == Ids{info.bos_token});
    const Ids with = tokenize(model, "a", ABY_TOKENIZE_ADD_BOS);
    CHECK(with.front() == info.bos_token);
    CHECK(with.size() == 2);
    CHECK(tokenize(model, bos, ABY_TOKENIZE_PLAIN).size() > 1);

    // The template writes the BOS, which is then not added again.
    const std::string prompt = render(model, R"([{"role":"user","content":"Hi"}])");
    INFO(prompt);
    CHECK(prompt.rfind(bos, 0) == 0);
    CHECK(prompt.find("Hi") != std::string::npos);
    const Ids ids = tokenize(model, prompt, ABY_TOKENIZE_ADD_BOS);
    CHECK(ids[0] == info.bos_token);
    CHECK(ids[1] != info.bos_token);

    std::size_t count = 0;
    std::int32_t eos = -1;
    ABY_REQUIRE(aby_model_eos_tokens(&eos, 1, &count, model.get()));
    CHECK(count == 1);
    CHECK(detokenize(model, {eos}) == "<｜end▁of▁sentence｜>");
  }
}

TEST_CASE("ids without a token, and a tokenizer from elsewhere") {
  const Model model = open(gguf("tiny-v2-lite-Q4_1"), "cpu");
  const std::int32_t unused = 1279;
  std::size_t length = 0;
  CHECK(aby_model_detokenize(nullptr, 0, &length, model.get(), &unused, 1, 0) == ABY_ERROR_INVALID_ARGUMENT);

  const std::string folder = checkpoint("tiny-v3");
  aby_model_options options = model_options();
  options.tokenizer = folder.c_str();
  const Model other = open(gguf("tiny-v2-lite-Q4_1"), options);
  CHECK(tokenize(other, "<｜begin▁of▁sentence｜>") != tokenize(model, "<｜begin▁of▁sentence｜>"));
}
