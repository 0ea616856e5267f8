#include "api/boundary.h"
#include "api/handles.h"

using namespace abyssal;
using namespace abyssal::api;

namespace {

const Tokenizer &tokenizer_of(const aby_model *model) {
  require(model, "model");
  return model->model->text().need_tokenizer();
}

aby_chat_options default_chat_options() noexcept {
  aby_chat_options options{};
  options.add_generation_prompt = 1;
  return options;
}

std::shared_ptr<const ChatTemplate> template_of(const TextParts &text, const char *own) {
  if (text.tokenizer_error)
    throw *text.tokenizer_error;
  if (own != nullptr)
    return ChatTemplate::create(own, text.tokenizer_config);
  if (text.chat_template)
    return text.chat_template;
  if (!text.template_error.empty())
    fail(ABY_ERROR_TEMPLATE, "the checkpoint's chat template: ", text.template_error);
  text.need_tokenizer();
  fail(ABY_ERROR_STATE, "the model has no chat template");
}

} // namespace

extern "C" {

aby_status aby_model_tokenize(int32_t *out, size_t capacity, size_t *out_count, const aby_model *model,
                              const char *text, size_t length, uint32_t flags) {
  return guard([&] {
    const Tokenizer &tokenizer = tokenizer_of(model);
    constexpr std::uint32_t known = ABY_TOKENIZE_ADD_BOS | ABY_TOKENIZE_PLAIN;
    if ((flags & ~known) != 0)
      fail(ABY_ERROR_INVALID_ARGUMENT, "flags ", flags, " are not known");
    std::vector<std::int32_t> ids =
        tokenizer.encode(read_text(text, length, "text"), (flags & ABY_TOKENIZE_PLAIN) != 0);
    const auto bos = tokenizer.bos_token();
    if ((flags & ABY_TOKENIZE_ADD_BOS) != 0 && tokenizer.adds_bos() && bos && (ids.empty() || ids.front() != *bos))
      ids.insert(ids.begin(), *bos);
    write_array(out, capacity, out_count, ids.data(), ids.size());
  });
}

aby_status aby_model_detokenize(char *out, size_t capacity, size_t *out_length, const aby_model *model,
                                const int32_t *tokens, size_t count, uint32_t flags) {
  return guard([&] {
    const Tokenizer &tokenizer = tokenizer_of(model);
    if (count > 0)
      require(tokens, "tokens");
    if ((flags & ~std::uint32_t{ABY_DETOKENIZE_SKIP_SPECIAL}) != 0)
      fail(ABY_ERROR_INVALID_ARGUMENT, "flags ", flags, " are not known");
    const std::string text = tokenizer.decode(tokens, count, flags != 0);
    write_array(out, capacity, out_length, text.data(), text.size());
  });
}

aby_status aby_chat_options_init(aby_chat_options *out, size_t struct_size) {
  return init_struct(out, struct_size, default_chat_options(), "aby_chat_options");
}

aby_status aby_model_render_chat(char *out, size_t capacity, size_t *out_length, const aby_model *model,
                                 const char *messages_json, size_t length, const aby_chat_options *options) {
  return guard([&] {
    require(model, "model");
    const auto given = read_struct(options, default_chat_options(), "aby_chat_options");
    const auto optional_text = [](const char *text) { return text != nullptr ? std::string_view(text) : ""; };
    ChatInput input;
    input.messages_json = read_text(messages_json, length, "messages_json");
    input.tools_json = optional_text(given.tools_json);
    input.variables_json = optional_text(given.variables_json);
    input.add_generation_prompt = given.add_generation_prompt != 0;
    const auto chat_template = template_of(model->model->text(), given.chat_template);
    const std::string text = chat_template->render(input);
    if (given.allow_dropped_tools == 0 && chat_template->drops_tools(input, text))
      fail(ABY_ERROR_UNSUPPORTED, "the chat template has no place for tools, and the model would not see them; "
                                  "allow_dropped_tools leaves them out");
    write_array(out, capacity, out_length, text.data(), text.size());
  });
}

} // extern "C"
