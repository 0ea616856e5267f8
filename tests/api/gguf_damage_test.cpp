// Damaged GGUF models through the C API: a status and a text that names the file; nothing leaks; the next open works.
#include "support/api.h"
#include "support/gguf_builder.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <random>

namespace {

using namespace test;

std::string fixture(const std::string &name) {
  std::ifstream in(std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// Opens a file with these bytes, with little cache.
aby_status open_status(const std::string &path) {
  aby_model_options options = model_options();
  options.backend = "cpu";
  options.cache_tokens = 64;
  options.threads = 1;
  aby_model *raw = nullptr;
  const aby_status status = aby_model_open(&raw, path.c_str(), &options);
  const Model model(raw);
  CHECK((status == ABY_OK) == (raw != nullptr));
  return status;
}

bool names_file(const std::string &file) { return std::strstr(aby_last_error(), file.c_str()) != nullptr; }

bool is_refusal(aby_status status) {
  return status == ABY_ERROR_FORMAT || status == ABY_ERROR_UNSUPPORTED || status == ABY_ERROR_NOT_FOUND;
}

} // namespace

TEST_CASE("GGUF fixtures cut off at many offsets") {
  const TemporaryFolder folder("damage");
  for (const char *name : {"tiny-v2-lite-Q4_1.gguf", "tiny-llama-Q4_K_M.gguf"}) {
    const std::string bytes = fixture(name);
    REQUIRE(bytes.size() > 100000);
    for (std::size_t size = 0; size < bytes.size(); size += size < 3000 ? 97 : 31013) {
      const std::string path = folder.write("cut.gguf", bytes.substr(0, size));
      INFO(name << " " << size << ": " << std::string(aby_last_error()));
      REQUIRE(open_status(path) == ABY_ERROR_FORMAT);
      REQUIRE(names_file("cut.gguf"));
    }
    CHECK(open_status(folder.write("cut.gguf", bytes)) == ABY_OK);
  }
}

TEST_CASE("GGUF fixtures with changed bytes in their header") {
  const TemporaryFolder folder("damage");
  std::mt19937 random(7);
  for (const char *name : {"tiny-v2-lite-legacy-Q8_0.gguf", "tiny-qwen2-Q4_K_M.gguf"}) {
    const std::string bytes = fixture(name);
    const std::size_t vocabulary = bytes.find("tokenizer.ggml.tokens"), tensors = bytes.find("token_embd.weight");
    for (int i = 0; i < 150; ++i) {
      // The configuration, and the list of tensors; the vocabulary has its own test.
      std::string damaged = bytes;
      const std::size_t begin = i % 2 == 0 ? 8 : tensors, length = i % 2 == 0 ? vocabulary - 8 : 1500;
      for (unsigned n = 0; n <= random() % 3; ++n)
        damaged[begin + random() % length] = static_cast<char>(random() % 4 == 0 ? 0xff : random());
      const std::string path = folder.write("changed.gguf", damaged);
      const aby_status status = open_status(path);
      INFO(name << " " << i << ": " << std::string(aby_last_error()));
      REQUIRE((status == ABY_OK || (is_refusal(status) && names_file("changed.gguf"))));
    }
  }
}

TEST_CASE("a GGUF model whose tensors do not fit its metadata") {
  const TemporaryFolder folder("damage");
  std::string bytes = fixture("tiny-v2-lite-Q4_1.gguf");
  const auto set = [&](const std::string &key, std::uint32_t value) {
    std::string changed = bytes;
    const std::size_t at = changed.find(key);
    REQUIRE(at != std::string::npos);
    std::memcpy(&changed[at + key.size() + 4], &value, sizeof value); // after the type
    return folder.write("unfit.gguf", changed);
  };
  CHECK(open_status(set("deepseek2.attention.kv_lora_rank", 60)) == ABY_ERROR_FORMAT);
  CHECK(names_file("unfit.gguf"));
  CHECK(names_file("attn_kv_a_mqa"));
  CHECK(open_status(set("deepseek2.block_count", 4)) == ABY_ERROR_NOT_FOUND);
  CHECK(names_file("model.layers.3."));
  CHECK(names_file("unfit.gguf"));
  CHECK(open_status(set("deepseek2.expert_count", 9)) == ABY_ERROR_FORMAT);
  CHECK(open_status(set("deepseek2.embedding_length", 128)) == ABY_ERROR_FORMAT);
}

TEST_CASE("a type that is only named is refused with its name and the tensor's") {
  const TemporaryFolder folder("damage");
  std::string bytes = fixture("tiny-v2-lite-Q4_1.gguf");
  const std::string tensor = "blk.1.attn_output.weight";
  const std::size_t at = bytes.find(tensor);
  REQUIRE(at != std::string::npos);
  const std::uint32_t q8_1 = 9; // larger blocks of 32, over what comes after: moved behind everything
  std::memcpy(&bytes[at + tensor.size() + 4 + 16], &q8_1, sizeof q8_1);
  const std::size_t header = (bytes.find("blk.2.ffn_down_shexp.weight") + 27 + 4 + 16 + 4 + 8 + 31) / 32 * 32;
  bytes.resize((bytes.size() + 31) / 32 * 32);
  const std::uint64_t offset = bytes.size() - header;
  std::memcpy(&bytes[at + tensor.size() + 4 + 16 + 4], &offset, sizeof offset);
  bytes.append(96 * 3 * 40, 'x');
  CHECK(open_status(folder.write("old.gguf", bytes)) == ABY_ERROR_UNSUPPORTED);
  INFO(std::string(aby_last_error()));
  CHECK(names_file("old.gguf"));
  CHECK(names_file("Q8_1"));
  CHECK(names_file("blk.1.attn_output.weight"));
}

TEST_CASE("folders, parts and files that are no models") {
  const TemporaryFolder folder("damage");
  CHECK(open_status(folder.path()) == ABY_ERROR_NOT_FOUND);
  CHECK(names_file("config.json"));
  CHECK(open_status(folder.write("text.txt", "hello")) == ABY_ERROR_UNSUPPORTED);
  CHECK(open_status(folder.write("empty.gguf", "")) == ABY_ERROR_FORMAT);
  std::filesystem::remove(folder.file("empty.gguf"));
  const std::string part = "tiny-v3-sharded-meta-Q8_0-0000", tail = "-of-00002.gguf";
  folder.write(part + "1" + tail, fixture(part + "1" + tail));
  CHECK(open_status(folder.path()) == ABY_ERROR_NOT_FOUND);
  CHECK(names_file(part + "2" + tail));
  const std::string second = folder.write(part + "2" + tail, fixture(part + "2" + tail));
  CHECK(open_status(folder.path()) == ABY_OK);
  CHECK(open_status(second) == ABY_OK);
  folder.write("other.gguf", fixture("tiny-v2-lite-Q4_1.gguf"));
  CHECK(open_status(folder.path()) == ABY_ERROR_FORMAT);
  CHECK(names_file("other.gguf"));
  CHECK(open_status(folder.file("other.gguf")) == ABY_OK);
}

TEST_CASE("the plan of a GGUF model counts what is made, and opening does as it says") {
  const std::string path = std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/tiny-v2-lite-MXFP4_MOE.gguf";
  aby_model_plan plan;
  aby_model_options options = model_options();
  options.backend = "cpu";
  options.activations = ABY_DTYPE_F32; // so that nothing is packed
  ABY_REQUIRE(aby_model_plan_get(&plan, sizeof plan, path.c_str(), &options));
  const std::uint64_t joined = 3 * 192 * 64, halves = joined / 32 * 17; // kv_b of three layers, its halves in mxfp4
  const std::uint64_t vectors = (3 * (96 + 96 + 64) + 96) * 4;          // kept apart from the file
  CHECK(plan.weight_bytes - joined * 4 == plan.file_bytes - halves);
  CHECK(plan.mapped_bytes == plan.file_bytes - halves - vectors);
  const Model model = open(path, options);
  aby_model_info info;
  ABY_REQUIRE(aby_model_info_get(&info, sizeof info, model.get()));
  CHECK(info.weight_bytes == plan.weight_bytes);
  CHECK(info.mapped_bytes == plan.mapped_bytes);
  CHECK(std::string(info.weight_types) == "f32 q8_0 mxfp4");
  CHECK(std::string(info.architecture) == "deepseek_v2");

  options.activations = ABY_DTYPE_AUTO;
  aby_model_plan packed;
  ABY_REQUIRE(aby_model_plan_get(&packed, sizeof packed, path.c_str(), &options));
  CHECK(packed.parameters == plan.parameters); // the halves of kv_b are no further ones
  CHECK(packed.file_bytes == plan.file_bytes);
  CHECK(packed.mapped_bytes < plan.mapped_bytes);
  CHECK(packed.cache_bytes_per_token == plan.cache_bytes_per_token / 2); // bf16
}

TEST_CASE("weights of a GGUF model are replaced by published name, quantised ones too") {
  const Model model = open(std::string(ABYSSAL_TEST_DATA) + "/conformance-gguf/tiny-llama-Q4_K_M.gguf", "cpu");
  const std::vector<std::byte> zeros(256 * 272); // blocks of zeros
  auto tensor = make<aby_tensor>(aby_tensor_init);
  tensor.name = "model.layers.0.self_attn.q_proj.weight";
  tensor.dtype = ABY_DTYPE_Q8_0;
  tensor.data = zeros.data();
  tensor.bytes = zeros.size();
  tensor.rank = 2;
  tensor.shape[0] = tensor.shape[1] = 256;
  const aby_tensor *given = &tensor;
  ABY_REQUIRE(aby_model_update(model.get(), &given, 1));
  const Sequence s = sequence(model);
  eval(s, {1, 2, 3}, eval_options());
  CHECK(std::isfinite(logits(s)[0]));
  tensor.name = "blk.0.attn_q.weight";
  CHECK(aby_model_update(model.get(), &given, 1) == ABY_ERROR_NOT_FOUND);
}
