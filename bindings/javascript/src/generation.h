// Replies, and what binds them. A reply on a sequence that nobody else has may be written some steps ahead of the
// script that reads it, so that a token does not wait for the event loop.
#pragma once

#include "objects.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace abyssal::node {

using ReplyOptions = Options<aby_reply_options>;

class Constraint {
public:
  // The promises of undefined: compiled for a model, or for that of a sequence.
  Task compile(Napi::Env env, const Model &model, aby_constraint_kind kind, std::string text);
  Task compile_for(Napi::Env env, const Sequence &sequence, aby_constraint_kind kind, std::string text);
  bool closed() const { return !*object_ || (*object_)->closed(); }
  void close() {
    if (*object_)
      (*object_)->close();
  }

  std::shared_ptr<aby_constraint> get() const;

private:
  Task compile_with(Napi::Env env, const model &of, aby_constraint_kind kind, std::string text);

  std::shared_ptr<std::optional<constraint>> object_ = std::make_shared<std::optional<constraint>>();
};

class Writer;

class Generation {
public:
  Generation() = default;
  ~Generation();

  // The sequence is written onto until the reply has ended or was stopped. mask: a byte for each id, or none.
  // constraint may be null. ahead: steps begin before their reader asks for them.
  void create(Napi::Env env, const Sequence &sequence, std::vector<std::int32_t> prompt, ReplyOptions options,
              std::vector<std::int32_t> stop_tokens, const std::string &mask, const Constraint *constraint, bool ahead);
  std::uint64_t seed() const;
  // Between two steps: the promise of undefined.
  Task set_mask(std::string mask);
  // The events that are there, as {text, numbers}: the texts in a row, and kEventNumbers numbers of each event, the
  // last of them where its text ends. null: none.
  Napi::Value poll(Napi::Env env);
  // The promise of at least one event, or of none where it was stopped. One at a time. After an error the next call
  // tries again.
  Napi::Value take(Napi::Env env);
  // No further step; a running one is interrupted, and the reply ends with "cancelled".
  void cancel();
  // Ends the reply for good: the promise of undefined, when the sequence is free. Not needed after an END.
  Task stop();

private:
  std::shared_ptr<Writer> writer_;
};

} // namespace abyssal::node
