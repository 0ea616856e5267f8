// The logits that llama.cpp gives to token sequences, for compare.py, which builds it against llama.cpp's own build.
//
//   llama_logits MODEL.gguf TOKENS LOGITS THREADS
//
// TOKENS: int32, of each sequence its length and its ids. LOGITS: float32 [tokens of all sequences, vocabulary],
// written. The context is llama.cpp's by default: what its users compute with.
#include <llama.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

namespace {

constexpr std::size_t kBatch = 512;

using Tokens = std::vector<llama_token>;
using File = std::unique_ptr<std::FILE, int (*)(std::FILE *)>;
using Model = std::unique_ptr<llama_model, decltype(&llama_model_free)>;
using Context = std::unique_ptr<llama_context, decltype(&llama_free)>;

int fail(const char *what, const char *name) {
  std::fprintf(stderr, "llama_logits: %s: %s\n", name, what);
  return 1;
}

// False where the file ends within a sequence.
bool read_sequences(std::FILE *file, std::vector<Tokens> &out) {
  std::int32_t length = 0;
  while (std::fread(&length, sizeof length, 1, file) == 1) {
    if (length <= 0)
      return false;
    Tokens tokens(static_cast<std::size_t>(length));
    if (std::fread(tokens.data(), sizeof(llama_token), tokens.size(), file) != tokens.size())
      return false;
    out.push_back(std::move(tokens));
  }
  return !out.empty();
}

// One sequence, whose cache it clears first. False: llama.cpp or the disk refused.
bool write_logits(llama_context *context, std::size_t vocab, const Tokens &tokens, std::FILE *out) {
  llama_memory_clear(llama_get_memory(context), true);
  llama_batch batch = llama_batch_init(kBatch, 0, 1);
  bool good = true;
  for (std::size_t begin = 0; good && begin < tokens.size(); begin += kBatch) {
    batch.n_tokens = static_cast<std::int32_t>(std::min(kBatch, tokens.size() - begin));
    for (std::int32_t i = 0; i < batch.n_tokens; ++i) {
      batch.token[i] = tokens[begin + static_cast<std::size_t>(i)];
      batch.pos[i] = static_cast<llama_pos>(begin) + i;
      batch.n_seq_id[i] = 1;
      batch.seq_id[i][0] = 0;
      batch.logits[i] = 1;
    }
    good = llama_decode(context, batch) == 0;
    for (std::int32_t i = 0; good && i < batch.n_tokens; ++i) {
      const float *const row = llama_get_logits_ith(context, i);
      good = row != nullptr && std::fwrite(row, sizeof(float), vocab, out) == vocab;
    }
  }
  llama_batch_free(batch);
  return good;
}

Context make_context(llama_model *model, std::size_t longest, int threads) {
  llama_context_params params = llama_context_default_params();
  params.n_ctx = static_cast<std::uint32_t>((longest + 255) / 256 * 256);
  params.n_batch = params.n_ubatch = kBatch;
  params.n_threads = params.n_threads_batch = threads;
  return {llama_init_from_model(model, params), llama_free};
}

void only_errors(ggml_log_level level, const char *text, void *) {
  if (level == GGML_LOG_LEVEL_ERROR)
    std::fputs(text, stderr);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 5) {
    std::fputs("usage: llama_logits MODEL.gguf TOKENS LOGITS THREADS\n", stderr);
    return 2;
  }
  llama_log_set(only_errors, nullptr);
  llama_backend_init();
  const File in(std::fopen(argv[2], "rb"), std::fclose);
  std::vector<Tokens> sequences;
  if (!in || !read_sequences(in.get(), sequences))
    return fail("is no file of sequences", argv[2]);
  std::size_t longest = 0;
  for (const Tokens &tokens : sequences)
    longest = std::max(longest, tokens.size());

  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = 0;
  const Model model(llama_model_load_from_file(argv[1], params), llama_model_free);
  if (!model)
    return fail("llama.cpp cannot load it", argv[1]);
  const Context context = make_context(model.get(), longest, std::atoi(argv[4]));
  if (!context)
    return fail("llama.cpp makes no context", argv[1]);
  const auto vocab = static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model.get())));

  File out(std::fopen(argv[3], "wb"), std::fclose);
  for (const Tokens &tokens : sequences) {
    if (!out || !write_logits(context.get(), vocab, tokens, out.get()))
      return fail("the logits could not be computed or written", argv[3]);
  }
  return std::fclose(out.release()) == 0 ? 0 : fail("cannot be written", argv[3]);
}
