#include "text/constraint.h"

#include "base/status.h"
#include "text/text_call.h"

#include <algorithm>

namespace abyssal {

namespace {

constexpr std::size_t kWordBits = 32;

struct Deleter {
  void operator()(abytext_constraint_compiler *compiler) const noexcept {
    abytext_constraint_compiler_destroy(compiler);
  }
  void operator()(abytext_compiled_constraint *compiled) const noexcept {
    abytext_compiled_constraint_destroy(compiled);
  }
  void operator()(abytext_constraint *constraint) const noexcept { abytext_constraint_destroy(constraint); }
  void operator()(abytext_cancellation *cancellation) const noexcept { abytext_cancellation_destroy(cancellation); }
};

const char *name_of(ConstraintKind kind) noexcept {
  switch (kind) {
  case ConstraintKind::kJsonSchema:
    return "JSON schema";
  case ConstraintKind::kRegex:
    return "regular expression";
  default:
    return "grammar";
  }
}

void check(std::int32_t result, const RustText &error) {
  if (result == ABYTEXT_CANCELLED)
    fail(ABY_ERROR_CANCELLED, error.view());
  if (result != ABYTEXT_OK)
    fail(status_of_call(result, ABY_ERROR_INTERNAL), "the constraint cannot go on: ", error.view());
}

} // namespace

struct ConstraintCompiler::State {
  std::unique_ptr<abytext_constraint_compiler, Deleter> handle;
  std::size_t vocab_size = 0;
};

struct CompiledConstraint::State {
  std::unique_ptr<abytext_compiled_constraint, Deleter> handle;
  std::size_t vocab_size = 0;
};

struct Constraint::State {
  std::unique_ptr<abytext_constraint, Deleter> handle;
  std::unique_ptr<abytext_cancellation, Deleter> cancellation;
  std::size_t vocab_size = 0;
  std::vector<std::uint32_t> words; // of the mask, the bit of the end taken out; none before it is computed
  bool may_end = false, must_end = false;

  void compute() {
    if (!words.empty())
      return;
    const std::uint32_t *mask = nullptr;
    RustText error;
    check(abytext_constraint_mask(handle.get(), &mask, error.out()), error);
    const std::size_t end_word = vocab_size / kWordBits;
    const std::uint32_t end_bit = std::uint32_t{1} << (vocab_size % kWordBits);
    may_end = (mask[end_word] & end_bit) != 0;
    words.assign(mask, mask + end_word + 1);
    words.back() &= end_bit - 1;
    must_end = std::all_of(words.begin(), words.end(), [](std::uint32_t word) { return word == 0; });
  }
};

ConstraintCompiler::ConstraintCompiler(const Tokenizer &tokenizer, std::size_t vocab_size,
                                       std::span<const std::int32_t> ends)
    : state_(std::make_unique<State>()) {
  state_->vocab_size = vocab_size;
  const std::vector<std::uint32_t> ids(ends.begin(), ends.end());
  abytext_constraint_compiler *handle = nullptr;
  RustText error;
  if (abytext_constraint_compiler_create(tokenizer.handle(), vocab_size, ids.data(), ids.size(), &handle,
                                         error.out()) != ABYTEXT_OK)
    fail(ABY_ERROR_INTERNAL, "constraints of this vocabulary: ", error.view());
  state_->handle.reset(handle);
}

ConstraintCompiler::~ConstraintCompiler() = default;

std::shared_ptr<const CompiledConstraint> ConstraintCompiler::compile(ConstraintKind kind,
                                                                      std::string_view text) const {
  if (const std::size_t invalid = find_invalid_utf8(text); invalid != std::string_view::npos)
    fail(ABY_ERROR_ENCODING, name_of(kind), ": not valid UTF-8 at byte ", invalid, " of ", text.size());
  auto state = std::make_unique<CompiledConstraint::State>();
  state->vocab_size = state_->vocab_size;
  abytext_compiled_constraint *handle = nullptr;
  RustText error;
  const std::int32_t result = abytext_constraint_compile(state_->handle.get(), static_cast<std::int32_t>(kind),
                                                         text.data(), text.size(), &handle, error.out());
  if (result != ABYTEXT_OK)
    fail(status_of_call(result, ABY_ERROR_INVALID_ARGUMENT), name_of(kind), ": ", error.view());
  state->handle.reset(handle);
  return std::shared_ptr<const CompiledConstraint>(new CompiledConstraint(std::move(state)));
}

CompiledConstraint::CompiledConstraint(std::unique_ptr<State> state) : state_(std::move(state)) {}
CompiledConstraint::~CompiledConstraint() = default;

std::unique_ptr<Constraint> CompiledConstraint::begin() const {
  auto state = std::make_unique<Constraint::State>();
  state->vocab_size = state_->vocab_size;
  abytext_constraint *handle = nullptr;
  RustText error;
  if (abytext_constraint_begin(state_->handle.get(), &handle, error.out()) != ABYTEXT_OK)
    fail(ABY_ERROR_INTERNAL, "the constraint cannot begin: ", error.view());
  state->handle.reset(handle);
  state->cancellation.reset(abytext_constraint_cancellation(handle));
  return std::unique_ptr<Constraint>(new Constraint(std::move(state)));
}

Constraint::Constraint(std::unique_ptr<State> state) : state_(std::move(state)) {}
Constraint::~Constraint() = default;

std::span<const std::uint32_t> Constraint::mask() {
  state_->compute();
  return state_->words;
}

bool Constraint::may_end() {
  state_->compute();
  return state_->may_end;
}

bool Constraint::complete() {
  state_->compute();
  return state_->must_end;
}

void Constraint::take(std::int32_t token) {
  RustText error;
  check(abytext_constraint_take(state_->handle.get(), static_cast<std::uint32_t>(token), error.out()), error);
  state_->words.clear();
}

void Constraint::cancel() noexcept { abytext_cancellation_request(state_->cancellation.get()); }

} // namespace abyssal
