// Damaged checkpoints: a status and a text that names file, tensor and offset; nothing leaks; the next open works.
#include "support/api.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace {

using namespace test;
namespace fs = std::filesystem;

// A copy of a checkpoint that a test may damage.
class Copy {
public:
  explicit Copy(const std::string &name) {
    static int counter = 0;
    folder_ =
        fs::temp_directory_path() / ("abyssal-damage-" + std::to_string(getpid()) + "-" + std::to_string(counter++));
    fs::copy(checkpoint(name), folder_);
  }
  ~Copy() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }
  Copy(const Copy &) = delete;
  Copy &operator=(const Copy &) = delete;
  fs::path file(const std::string &name) const { return folder_ / name; }
  std::string path() const { return folder_.string(); }

  std::string read(const std::string &name) const {
    std::ifstream in(file(name), std::ios::binary);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
  }
  void write(const std::string &name, const std::string &text) const {
    std::ofstream(file(name), std::ios::binary | std::ios::trunc) << text;
  }
  void replace(const std::string &name, const std::string &from, const std::string &to) const {
    std::string text = read(name);
    const auto at = text.find(from);
    INFO(from);
    REQUIRE(at != std::string::npos);
    write(name, text.replace(at, from.size(), to));
  }

private:
  fs::path folder_;
};

void check_refused(const Copy &copy, aby_status status, const std::vector<std::string> &parts) {
  aby_model *model = nullptr;
  CHECK(aby_model_open(&model, copy.path().c_str(), nullptr) == status);
  CHECK(model == nullptr);
  INFO(std::string(aby_last_error()));
  for (const std::string &part : parts) {
    INFO(part);
    CHECK(std::strstr(aby_last_error(), part.c_str()) != nullptr);
  }
  aby_model_plan plan;
  CHECK(aby_model_plan_get(&plan, sizeof plan, copy.path().c_str(), nullptr) == status);
}

} // namespace

TEST_CASE("missing and truncated files") {
  aby_model *model = nullptr;
  CHECK(aby_model_open(&model, "/nowhere/at/all", nullptr) == ABY_ERROR_NOT_FOUND);
  {
    const Copy copy("tiny-v3");
    fs::remove(copy.file("model-00002-of-00003.safetensors"));
    check_refused(copy, ABY_ERROR_NOT_FOUND, {"model-00002-of-00003.safetensors"});
  }
  {
    const Copy copy("tiny-v3");
    fs::resize_file(copy.file("model-00002-of-00003.safetensors"), 100000);
    check_refused(copy, ABY_ERROR_FORMAT, {"model-00002-of-00003.safetensors", "offset"});
  }
  {
    const Copy copy("tiny-v3");
    fs::remove(copy.file("config.json"));
    check_refused(copy, ABY_ERROR_NOT_FOUND, {"config.json"});
  }
  {
    const Copy copy("tiny-v2-lite");
    fs::remove(copy.file("model.safetensors"));
    check_refused(copy, ABY_ERROR_NOT_FOUND, {"safetensors"});
  }
}

TEST_CASE("a header longer than the file") {
  const Copy copy("tiny-v2-lite");
  std::string bytes = copy.read("model.safetensors");
  bytes[6] = 1;
  copy.write("model.safetensors", bytes);
  check_refused(copy, ABY_ERROR_FORMAT, {"model.safetensors", "header"});
}

TEST_CASE("tensors that do not fit the config name tensor, file and shapes") {
  const Copy copy("tiny-v3");
  copy.replace("config.json", "\"kv_lora_rank\": 64", "\"kv_lora_rank\": 60");
  check_refused(copy, ABY_ERROR_FORMAT, {"kv_a_proj_with_mqa", "safetensors", "[80, 128]", "[76, 128]"});
  const Copy missing("tiny-v3");
  missing.replace("config.json", "\"num_hidden_layers\": 4", "\"num_hidden_layers\": 6");
  check_refused(missing, ABY_ERROR_NOT_FOUND, {"model.layers.5."}); // layer 4 is there: the MTP layer
}

TEST_CASE("configs that make no sense") {
  const auto check = [](const std::string &from, const std::string &to, aby_status status, const std::string &part) {
    const Copy copy("tiny-v3");
    copy.replace("config.json", from, to);
    check_refused(copy, status, {"config.json", part});
  };
  check("\"num_attention_heads\": 4", "\"num_attention_heads\": 0", ABY_ERROR_FORMAT, "num_attention_heads");
  check("\"num_hidden_layers\": 4", "\"num_hidden_layers\": 1152921504606846976", ABY_ERROR_FORMAT,
        "num_hidden_layers");
  check("\"hidden_size\": 128", "\"hidden_size\": -1", ABY_ERROR_FORMAT, "hidden_size");
  check("\"hidden_size\": 128", "\"hidden_size\": \"128\"", ABY_ERROR_FORMAT, "hidden_size");
  check("\"num_experts_per_tok\": 4", "\"num_experts_per_tok\": 400", ABY_ERROR_FORMAT, "num_experts_per_tok");
  check("\"model_type\": \"deepseek_v3\"", "\"model_type\": \"mamba\"", ABY_ERROR_UNSUPPORTED, "mamba");
  check("{", "[", ABY_ERROR_FORMAT, "JSON");
}

TEST_CASE("fp8 weights without scales") {
  const Copy copy("tiny-v3-fp8");
  copy.replace("config.json", "\"quantization_config\"", "\"quantization_confix\"");
  check_refused(copy, ABY_ERROR_FORMAT, {"f8_e4m3", "quantization_config"});
}

TEST_CASE("opening can be watched and cancelled") {
  struct Seen {
    std::uint64_t last = 0, total = 0;
    bool ascending = true;
    std::uint64_t cancel_at = UINT64_MAX;
  } seen;
  aby_model_options options = model_options();
  options.progress_context = &seen;
  options.progress = [](void *context, aby_stage stage, std::uint64_t done, std::uint64_t total) {
    auto &s = *static_cast<Seen *>(context);
    if (stage != ABY_STAGE_WEIGHTS)
      return 0;
    s.ascending = s.ascending && done >= s.last;
    s.last = done;
    s.total = total;
    return done >= s.cancel_at ? 1 : 0;
  };
  open(checkpoint("tiny-v3-fp8"), options);
  CHECK(seen.ascending);
  CHECK(seen.total > 0);
  CHECK(seen.last == seen.total);
  seen = Seen{};
  seen.cancel_at = 1000;
  aby_model *model = nullptr;
  CHECK(aby_model_open(&model, checkpoint("tiny-v3-fp8").c_str(), &options) == ABY_ERROR_CANCELLED);
  CHECK(model == nullptr);
}

TEST_CASE("the plan is what opening does") {
  aby_model_options options = model_options();
  options.cache_tokens = 100;
  aby_model_plan plan;
  ABY_REQUIRE(aby_model_plan_get(&plan, sizeof plan, checkpoint("tiny-v3").c_str(), &options));
  CHECK(plan.layers == 4);
  CHECK(plan.cache_tokens == 128);
  CHECK(plan.cache_bytes_per_token == 4 * (64 + 16) * 2); // bf16, as the weights
  CHECK(plan.cache_bytes == plan.cache_tokens * plan.cache_bytes_per_token);
  CHECK(plan.total_bytes == plan.weight_bytes + plan.cache_bytes + plan.scratch_bytes);
  CHECK(plan.weight_bytes >= plan.file_bytes); // bf16 stays bf16; small vectors are widened
  CHECK(plan.weight_bytes < plan.file_bytes + plan.file_bytes / 4);
  CHECK(plan.active_parameters < plan.parameters);
  const Model model = open(checkpoint("tiny-v3"), options);
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  CHECK(info.weight_bytes == plan.weight_bytes);
  CHECK(info.parameters == plan.parameters);
  CHECK(std::string(info.architecture) == "deepseek_v3");
  const std::uint64_t scratch = plan.scratch_bytes;
  options.activations = ABY_DTYPE_F32;
  ABY_REQUIRE(aby_model_plan_get(&plan, sizeof plan, checkpoint("tiny-v3").c_str(), &options));
  CHECK(plan.cache_bytes_per_token == 4 * (64 + 16) * 4);
  CHECK(plan.scratch_bytes > scratch);
}

TEST_CASE("the plan counts an int8 cache with its scales") {
  aby_model_options options = model_options();
  options.cache_dtype = ABY_DTYPE_I8;
  aby_model_plan plan;
  ABY_REQUIRE(aby_model_plan_get(&plan, sizeof plan, checkpoint("tiny-v3").c_str(), &options));
  CHECK(plan.cache_bytes_per_token == 4 * (64 + 4 + 16 * 2)); // c_kv and its scale, k_rope in bf16
  options.mtp = 1;
  ABY_REQUIRE(aby_model_plan_get(&plan, sizeof plan, checkpoint("tiny-v3").c_str(), &options));
  CHECK(plan.cache_bytes_per_token == 5 * (64 + 4 + 16 * 2));
  options.mtp = 0;
  options.cache_tokens = 64;
  const Model model = open(checkpoint("tiny-r1-distill-llama"), options);
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  CHECK(info.cache_bytes_per_token == info.layers * 2 * info.kv_heads * (info.rope_dim + 4)); // a scale for each head
}
