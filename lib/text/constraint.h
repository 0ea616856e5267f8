// Replies bound to a JSON schema, a regular expression or a Lark grammar, with llguidance.
#pragma once

#include "text/tokenizer.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace abyssal {

enum class ConstraintKind { kJsonSchema = 1, kRegex = 2, kGrammar = 3 };

// Follows a reply token by token. One thread at a time, but for cancel.
class Constraint {
public:
  ~Constraint();
  Constraint(const Constraint &) = delete;
  Constraint &operator=(const Constraint &) = delete;

  // Which of the vocabulary's ids may come next: bit i % 32 of word i / 32; valid until take. Computed once for a
  // token. No end-of-sequence id is among them. Throws CANCELLED, and UNSUPPORTED where it gets beyond llguidance's
  // limits.
  std::span<const std::uint32_t> mask();
  // Whether the reply may end here, and whether it must. Throw as mask does.
  bool may_end();
  bool complete();
  // Goes on behind a token of the mask. Throws as mask does.
  void take(std::int32_t token);
  // Interrupts the others, for good. From any thread.
  void cancel() noexcept;

private:
  friend class CompiledConstraint;
  struct State;
  explicit Constraint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A grammar ready to follow replies. Immutable; any thread may use it.
class CompiledConstraint {
public:
  ~CompiledConstraint();
  CompiledConstraint(const CompiledConstraint &) = delete;
  CompiledConstraint &operator=(const CompiledConstraint &) = delete;

  std::unique_ptr<Constraint> begin() const;

private:
  friend class ConstraintCompiler;
  struct State;
  explicit CompiledConstraint(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// What the constraints of a model share. Any thread may use it.
class ConstraintCompiler {
public:
  // vocab_size: rows of the model's head; ends: its end-of-sequence ids, which stand for no text.
  ConstraintCompiler(const Tokenizer &tokenizer, std::size_t vocab_size, std::span<const std::int32_t> ends);
  ~ConstraintCompiler();
  ConstraintCompiler(const ConstraintCompiler &) = delete;
  ConstraintCompiler &operator=(const ConstraintCompiler &) = delete;

  // Throws INVALID_ARGUMENT with llguidance's reason, and ENCODING for text that is not UTF-8.
  std::shared_ptr<const CompiledConstraint> compile(ConstraintKind kind, std::string_view text) const;

private:
  struct State;
  std::unique_ptr<State> state_;
};

} // namespace abyssal
