#include "engine/event_columns.h"

namespace abyssal {

void EventColumns::clear() noexcept {
  kind_.clear();
  token_.clear();
  logprob_.clear();
  text_kind_.clear();
  text_begin_.resize(1);
  text_.clear();
  finish_reason_.clear();
  prompt_tokens_.clear();
  prompt_total_.clear();
  completion_tokens_.clear();
  reasoning_tokens_.clear();
}

void EventColumns::add(const GenerationEvent &event, std::string_view text) {
  const auto make_room = [](auto &column) {
    if (column.size() == column.capacity())
      column.reserve(2 * column.size() + 8);
  };
  make_room(kind_);
  make_room(token_);
  make_room(logprob_);
  make_room(text_kind_);
  make_room(text_begin_);
  make_room(finish_reason_);
  make_room(prompt_tokens_);
  make_room(prompt_total_);
  make_room(completion_tokens_);
  make_room(reasoning_tokens_);
  text_.append(text); // the last that can fail
  kind_.push_back(event.kind);
  token_.push_back(event.token);
  logprob_.push_back(event.logprob);
  text_kind_.push_back(event.text_kind);
  text_begin_.push_back(text_.size());
  finish_reason_.push_back(event.finish_reason);
  prompt_tokens_.push_back(event.prompt_tokens);
  prompt_total_.push_back(event.prompt_total);
  completion_tokens_.push_back(event.completion_tokens);
  reasoning_tokens_.push_back(event.reasoning_tokens);
}

aby_events EventColumns::view() const noexcept {
  aby_events events{};
  events.count = kind_.size();
  events.kind = kind_.data();
  events.token = token_.data();
  events.logprob = logprob_.data();
  events.text_kind = text_kind_.data();
  events.text_begin = text_begin_.data();
  events.text = text_.data();
  events.finish_reason = finish_reason_.data();
  events.prompt_tokens = prompt_tokens_.data();
  events.prompt_total = prompt_total_.data();
  events.completion_tokens = completion_tokens_.data();
  events.reasoning_tokens = reasoning_tokens_.data();
  return events;
}

} // namespace abyssal
