// Models whose tokenizer or chat template is missing, not supported or damaged: everything but text works, and text
// says why not.
#include "support/api.h"
#include "support/gguf_builder.h"

#include <cstring>
#include <filesystem>
#include <iterator>

namespace {

using namespace test;
namespace fs = std::filesystem;

const std::string kMessages = R"([{"role":"user","content":"Hi"}])";
const std::vector<std::int32_t> kPrompt = {5, 6, 7, 300};

std::string gguf_path() { return std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/tiny-v2-lite-Q4_1.gguf"; }

std::string gguf_bytes() {
  std::ifstream in(gguf_path(), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// A text that occurs once, for another of its length.
void replace(std::string &bytes, const std::string &from, const std::string &to) {
  REQUIRE(from.size() == to.size());
  const std::size_t at = bytes.find(from);
  REQUIRE(at != std::string::npos);
  REQUIRE(bytes.find(from, at + 1) == std::string::npos);
  bytes.replace(at, from.size(), to);
}

// The value of a key whose value is a text, and of one whose value is a number of 32 bits.
void set_text(std::string &bytes, const std::string &key, const std::string &from, const std::string &to) {
  const std::string head = Bytes().text(key).number(std::uint32_t{kGgufText}).get();
  replace(bytes, head + Bytes().text(from).get(), head + Bytes().text(to).get());
}
void set_number(std::string &bytes, const std::string &key, std::uint32_t value) {
  const std::size_t at = bytes.find(key);
  REQUIRE(at != std::string::npos);
  std::memcpy(&bytes[at + key.size() + 4], &value, sizeof value);
}

aby_status tokenize(const Model &model) {
  std::size_t count = 7;
  const aby_status status = aby_model_tokenize(nullptr, 0, &count, model.get(), "x", 1, 0);
  CHECK((status == ABY_OK || count == 7));
  return status;
}

aby_status render(const Model &model, const char *own = nullptr) {
  aby_chat_options options = make<aby_chat_options>(aby_chat_options_init);
  options.chat_template = own;
  std::size_t length = 0;
  return aby_model_render_chat(nullptr, 0, &length, model.get(), kMessages.data(), kMessages.size(), &options);
}

aby_model_info info_of(const Model &model) {
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  return info;
}

void check_error(aby_status status, aby_status want, const std::vector<std::string> &parts) {
  const std::string text = aby_last_error();
  INFO(text);
  CHECK(status == want);
  for (const std::string &part : parts) {
    INFO(part);
    CHECK(text.find(part) != std::string::npos);
  }
}

// The ids of a short reply, whose events have no text.
std::vector<std::int32_t> generate(const Model &model) {
  const Sequence s = sequence(model);
  aby_reply_options options = reply_options();
  options.max_tokens = 4;
  options.temperature = 0;
  options.ignore_eos = 1;
  aby_generation *raw = nullptr;
  ABY_REQUIRE(aby_generation_create(&raw, s.get(), kPrompt.data(), kPrompt.size(), &options));
  const Generation generation(raw);
  std::vector<std::int32_t> ids;
  Event event;
  while (event.kind != ABY_EVENT_END) {
    ABY_REQUIRE(step(&event, generation.get()));
    if (event.kind == ABY_EVENT_TOKEN)
      ids.push_back(event.token);
    CHECK(event.text.empty());
  }
  return ids;
}

std::vector<float> logits_of(const Model &model) {
  const Sequence s = sequence(model);
  eval(s, kPrompt, eval_options());
  return logits(s);
}

// Whatever needs the tokenizer fails like this; the rest does as with it.
void check_without_text(const std::string &path, aby_status status, const std::vector<std::string> &parts) {
  aby_model_plan plan;
  ABY_REQUIRE(aby_model_plan_get(&plan, sizeof plan, path.c_str(), nullptr));
  CHECK(plan.layers > 0);
  const Model model = open(path, "cpu");
  CHECK(info_of(model).has_tokenizer == 0);
  CHECK(info_of(model).has_chat_template == 0);
  CHECK(info_of(model).reasons == 0);
  CHECK(logits_of(model).size() == info_of(model).vocab_size);
  CHECK(generate(model).size() == 4);

  check_error(tokenize(model), status, parts);
  std::size_t length = 0;
  check_error(aby_model_detokenize(nullptr, 0, &length, model.get(), kPrompt.data(), 1, 0), status, parts);
  check_error(render(model), status, parts);
  if (status != ABY_ERROR_STATE)
    check_error(render(model, "{{ bos_token }}"), status, parts);

  aby_constraint *raw = nullptr;
  const aby_status constrained = aby_constraint_compile(&raw, model.get(), ABY_CONSTRAINT_REGEX, "a+", 2);
  check_error(constrained, status, {"a constraint needs a tokenizer"});
  if (status != ABY_ERROR_STATE)
    check_error(constrained, status, parts);
}

} // namespace

TEST_CASE("a GGUF model whose tokenizer cannot be used") {
  const TemporaryFolder folder("no-text");
  const auto check = [&](const auto &damage, aby_status status, std::vector<std::string> parts) {
    std::string bytes = gguf_bytes();
    damage(bytes);
    parts.emplace_back("model.gguf");
    check_without_text(folder.write("model.gguf", bytes), status, parts);
  };
  check([](auto &b) { set_text(b, "tokenizer.ggml.pre", "deepseek-llm", "deepseek-llx"); }, ABY_ERROR_UNSUPPORTED,
        {"tokenizer.ggml.pre", "\"deepseek-llx\" is not supported"});
  check([](auto &b) { set_text(b, "tokenizer.ggml.model", "gpt2", "bert"); }, ABY_ERROR_UNSUPPORTED,
        {"tokenizer.ggml.model", "\"bert\" is not supported"});
  check([](auto &b) { set_text(b, "tokenizer.ggml.model", "gpt2", "none"); }, ABY_ERROR_STATE,
        {"tokenizer.ggml.model is \"none\""});
  check([](auto &b) { replace(b, "tokenizer.ggml.model", "tokenizer.ggml.modex"); }, ABY_ERROR_STATE,
        {"tokenizer.ggml.model is missing"});
  check([](auto &b) { replace(b, "tokenizer.ggml.tokens", "tokenizer.ggml.tokenx"); }, ABY_ERROR_FORMAT,
        {"tokenizer.ggml.tokens"});
  check([](auto &b) { replace(b, "tokenizer.ggml.merges", "tokenizer.ggml.mergex"); }, ABY_ERROR_FORMAT,
        {"tokenizer.ggml.merges"});
  check([](auto &b) { set_number(b, "tokenizer.ggml.bos_token_id", 100000); }, ABY_ERROR_FORMAT,
        {"bos_token_id is 100000"});
}

TEST_CASE("without its tokenizer a model computes what it did") {
  const TemporaryFolder folder("no-text");
  std::string bytes = gguf_bytes();
  set_text(bytes, "tokenizer.ggml.pre", "deepseek-llm", "deepseek-llx");
  const std::string path = folder.write("model.gguf", bytes);
  CHECK(logits_of(open(path, "cpu")) == logits_of(open(gguf_path(), "cpu")));

  aby_model_options options = model_options();
  const std::string other = checkpoint("tiny-v3");
  options.tokenizer = other.c_str();
  const Model model = open(path, options);
  CHECK(info_of(model).has_tokenizer == 1);
  CHECK(tokenize(model) == ABY_OK);
}

TEST_CASE("a GGUF model with a template that cannot be used has a tokenizer") {
  const TemporaryFolder folder("no-text");
  for (const char *wrong : {"\xff\xff", "{{"}) {
    std::string bytes = gguf_bytes();
    const std::string head = "tokenizer.chat_template";
    const std::size_t at = bytes.find(head);
    REQUIRE(at != std::string::npos);
    bytes.replace(at + head.size() + 4 + 8, 2, wrong);
    const Model model = open(folder.write("model.gguf", bytes), "cpu");
    CHECK(info_of(model).has_tokenizer == 1);
    CHECK(info_of(model).has_chat_template == 0);
    CHECK(tokenize(model) == ABY_OK);
    check_error(render(model), ABY_ERROR_TEMPLATE, {"the checkpoint's chat template"});
    CHECK(render(model, "{{ bos_token }}") == ABY_OK);
  }
}

TEST_CASE("a folder whose tokenizer cannot be used") {
  const TemporaryFolder folder("no-text");
  const std::string path = folder.file("model");
  const auto restore = [&] {
    fs::remove_all(path);
    fs::copy(checkpoint("tiny-v2-lite"), path);
  };
  const auto write = [&](const char *name, const std::string &text) {
    std::ofstream(fs::path(path) / name, std::ios::binary | std::ios::trunc) << text;
  };
  restore();
  fs::remove(fs::path(path) / "tokenizer.json");
  check_without_text(path, ABY_ERROR_STATE, {"there is no tokenizer.json beside it"});
  restore();
  write("tokenizer.json", "{\"version\":");
  check_without_text(path, ABY_ERROR_FORMAT, {"tokenizer.json"});
  write("tokenizer.json", R"({"version": "1.0", "added_tokens": [], "decoder": null,
    "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}})");
  check_without_text(path, ABY_ERROR_UNSUPPORTED, {"tokenizer.json", "without a decoder"});
  restore();
  write("tokenizer_config.json", "{");
  check_without_text(path, ABY_ERROR_FORMAT, {"tokenizer_config"});

  // Asked for by name it is refused.
  aby_model_options options = model_options();
  options.tokenizer = path.c_str();
  aby_model *raw = nullptr;
  const std::string model = checkpoint("tiny-v2-lite");
  check_error(aby_model_open(&raw, model.c_str(), &options), ABY_ERROR_FORMAT, {"tokenizer_config"});
  CHECK(raw == nullptr);

  restore();
  fs::remove(fs::path(path) / "chat_template.jinja");
  write("tokenizer_config.json", R"({"chat_template": 3})");
  const Model other = open(path, "cpu");
  CHECK(tokenize(other) == ABY_OK);
  CHECK(info_of(other).has_chat_template == 0);
  check_error(render(other), ABY_ERROR_TEMPLATE, {"chat_template"});
}
