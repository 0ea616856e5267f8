// Replies. A reply is written ahead of the script that reads it, by a few events, so that a token does not wait for the
// event loop; what was written ahead of a reader that leaves is taken back.
#pragma once

#include "objects.h"

#include <cstdint>
#include <memory>
#include <vector>

namespace abyssal::node {

using GenerationOptions = Options<aby_generation_options>;

class Writer;

class Generation {
public:
  Generation() = default;
  ~Generation();

  // The sequence is in use until the reply has ended or was stopped. mask: a byte for each id, or none. write_ahead:
  // steps begin before their reader asks for them.
  void create(Napi::Env env, const Sequence &sequence, std::vector<std::int32_t> prompt, GenerationOptions options,
              std::vector<std::int32_t> stop_tokens, const std::string &mask, bool write_ahead);
  // Between two steps: the promise of undefined.
  Task set_mask(std::string mask);
  // The events that are there, as {text, numbers}: the texts in a row, and kEventNumbers numbers of each event, the
  // last of them where its text ends. null: none.
  Napi::Value poll(Napi::Env env);
  // The promise of at least one event. One at a time.
  Napi::Value take(Napi::Env env);
  // No further step; a running one is interrupted, and the reply ends with "cancelled".
  void cancel();
  // Frees the sequence of a reply that has ended by itself and whose events were read; false: it is not at its end.
  bool finish_at_end();
  // Ends the reply for good: the promise of undefined, when the sequence is free and holds what the reader has seen.
  Task stop(std::uint64_t prompt_done, std::uint64_t completion_tokens);

private:
  std::shared_ptr<Writer> writer_;
};

} // namespace abyssal::node
