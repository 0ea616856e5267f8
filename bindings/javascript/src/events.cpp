#include "events.h"

#include <algorithm>
#include <string_view>

namespace abyssal::node {

namespace {

// Characters of a string of JavaScript, which are those of UTF-16.
std::size_t js_length(std::string_view utf8) {
  std::size_t length = 0;
  for (const char byte : utf8) {
    const auto bits = static_cast<unsigned char>(byte);
    length += (bits & 0xC0) == 0x80 ? 0 : bits >= 0xF0 ? 2 : 1;
  }
  return length;
}

} // namespace

void Events::add(const aby_events &step) {
  for (std::size_t i = 0; i < step.count; ++i) {
    const std::string_view text = text_of(step, i);
    text_ += text;
    text_end_ += js_length(text);
    for (const double number :
         {static_cast<double>(step.kind[i]), static_cast<double>(step.text_kind[i]), static_cast<double>(step.token[i]),
          static_cast<double>(step.logprob[i]), static_cast<double>(step.finish_reason[i]),
          static_cast<double>(step.prompt_tokens[i]), static_cast<double>(step.prompt_total[i]),
          static_cast<double>(step.completion_tokens[i]), static_cast<double>(step.reasoning_tokens[i]),
          static_cast<double>(text_end_)})
      numbers_.push_back(number);
  }
}

Napi::Value Events::to_js(Napi::Env env) const {
  Napi::Float64Array numbers = Napi::Float64Array::New(env, numbers_.size());
  std::copy(numbers_.begin(), numbers_.end(), numbers.Data());
  const Napi::Object made = Napi::Object::New(env);
  made.Set("text", Napi::String::New(env, text_));
  made.Set("numbers", numbers);
  return made;
}

} // namespace abyssal::node
