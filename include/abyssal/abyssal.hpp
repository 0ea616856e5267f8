// abyssal.hpp - thin C++17 RAII over abyssal.h. Header only; the C header is the specification.
//
// Copyright 2026 the Abyssal authors. SPDX-License-Identifier: Apache-2.0
//
// Objects are cheap to copy and share one handle. close() lets go of it early; a call that is running keeps it until it
// returns, and later calls throw ABY_ERROR_STATE. Failures throw abyssal::error. Views point into the library's memory
// and are valid as long as abyssal.h says.
#ifndef ABYSSAL_ABYSSAL_HPP
#define ABYSSAL_ABYSSAL_HPP

#include <abyssal/abyssal.h>
#include <abyssal/ops.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace abyssal {

// A failed call: its status, and aby_last_error() as what().
class error : public std::runtime_error {
public:
  error(aby_status status, const std::string &text) : std::runtime_error(text), status_(status) {}
  aby_status status() const noexcept { return status_; }
  const char *name() const noexcept { return aby_status_name(status_); }

private:
  aby_status status_;
};

inline void check(aby_status status) {
  if (status != ABY_OK)
    throw error(status, aby_last_error());
}

// A struct filled by its init function.
#define ABYSSAL_MAKE(type)                                                                                             \
  [] {                                                                                                                 \
    type made;                                                                                                         \
    ::abyssal::check(type##_init(&made, sizeof made));                                                                 \
    return made;                                                                                                       \
  }()

inline aby_device_options default_device_options() { return ABYSSAL_MAKE(aby_device_options); }
inline aby_model_options default_model_options() { return ABYSSAL_MAKE(aby_model_options); }
inline aby_chat_options default_chat_options() { return ABYSSAL_MAKE(aby_chat_options); }
inline aby_eval_options default_eval_options() { return ABYSSAL_MAKE(aby_eval_options); }
inline aby_reply_options default_reply_options() { return ABYSSAL_MAKE(aby_reply_options); }
inline aby_tensor default_tensor() { return ABYSSAL_MAKE(aby_tensor); }

inline std::string version() { return aby_version_string(); }

// The backends built into the library, best first.
inline std::vector<aby_backend_info> backends() {
  std::size_t count = 0;
  check(aby_backend_count(&count));
  std::vector<aby_backend_info> all;
  for (std::size_t i = 0; i < count; ++i) {
    aby_backend_info info;
    check(aby_backend_info_get(&info, sizeof info, i));
    all.push_back(info);
  }
  return all;
}

namespace detail {

// Calls fill(out, capacity, out_count) with room that is enough.
template <typename Element, typename Fill> std::vector<Element> read_array(std::size_t guess, Fill &&fill) {
  std::vector<Element> values(guess);
  for (;;) { // more than once only when the guess was too low
    std::size_t count = 0;
    const aby_status status = fill(values.data(), values.size(), &count);
    if (status != ABY_ERROR_TOO_SMALL)
      check(status);
    const bool complete = count <= values.size();
    values.resize(count);
    if (complete)
      return values;
  }
}

template <typename Fill> std::string read_text(std::size_t guess, Fill &&fill) {
  const std::vector<char> text = read_array<char>(guess, std::forward<Fill>(fill));
  return std::string(text.data(), text.size());
}

// What errors call an object.
inline const char *noun(const aby_device *) { return "device"; }
inline const char *noun(const aby_model *) { return "model"; }
inline const char *noun(const aby_sequence *) { return "sequence"; }
inline const char *noun(const aby_constraint *) { return "constraint"; }
inline const char *noun(const aby_generation *) { return "reply"; }
inline const char *noun(const aby_experts *) { return "expert layer"; }
inline const char *noun(const aby_mla *) { return "MLA layer"; }

// The shared handle of an object.
template <typename Handle, void (*Destroy)(Handle *)> class shared_handle {
public:
  shared_handle() = default;
  explicit shared_handle(Handle *handle) : handle_(handle, Destroy) {}
  // Keeps parent alive too.
  template <typename Parent>
  shared_handle(Handle *handle, std::shared_ptr<Parent> parent)
      : handle_(handle, [parent = std::move(parent)](Handle *owned) { Destroy(owned); }) {}
  shared_handle(const shared_handle &other) : handle_(other.load()) {}
  shared_handle &operator=(const shared_handle &other) {
    if (this != &other)
      replace(other.load());
    return *this;
  }
  ~shared_handle() = default;

  // A reference of the caller's own: the handle lives at least as long as it.
  std::shared_ptr<Handle> get() const {
    auto copy = load();
    if (!copy)
      throw error(ABY_ERROR_STATE, std::string("the ") + noun(static_cast<const Handle *>(nullptr)) + " is closed");
    return copy;
  }
  bool closed() const { return !load(); }
  void close() { replace(nullptr); }

private:
  std::shared_ptr<Handle> load() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return handle_;
  }
  // The old handle goes with the parameter, after the lock: destroying may take long.
  void replace(std::shared_ptr<Handle> handle) {
    const std::lock_guard<std::mutex> lock(mutex_);
    handle_.swap(handle);
  }
  mutable std::mutex mutex_; // C++17 has no atomic shared_ptr that C++20 does not deprecate
  std::shared_ptr<Handle> handle_;
};

} // namespace detail

// A device of a backend: see aby_device.
class device {
public:
  explicit device(const aby_device_options &options = default_device_options()) : handle_(open(options)) {}
  explicit device(aby_device *owned) : handle_(owned) {}

  aby_device_info info() const {
    aby_device_info info;
    check(aby_device_info_get(&info, sizeof info, handle_.get().get()));
    return info;
  }
  std::shared_ptr<aby_device> get() const { return handle_.get(); }
  bool closed() const { return handle_.closed(); }
  void close() { handle_.close(); }

private:
  static aby_device *open(const aby_device_options &options) {
    aby_device *opened = nullptr;
    check(aby_device_open(&opened, &options));
    return opened;
  }
  detail::shared_handle<aby_device, aby_device_destroy> handle_;
};

class sequence;

// A checkpoint, ready to run: see aby_model.
class model {
public:
  explicit model(const std::string &path, const aby_model_options &options = default_model_options()) {
    aby_model *opened = nullptr;
    check(aby_model_open(&opened, path.c_str(), &options));
    handle_ = handle(opened);
  }
  model(const std::string &config_json, const std::vector<const aby_tensor *> &tensors,
        const aby_model_options &options = default_model_options()) {
    aby_model *opened = nullptr;
    check(aby_model_open_tensors(&opened, config_json.c_str(), tensors.data(), tensors.size(), &options));
    handle_ = handle(opened);
  }

  static aby_model_plan plan(const std::string &path, const aby_model_options &options = default_model_options()) {
    aby_model_plan plan;
    check(aby_model_plan_get(&plan, sizeof plan, path.c_str(), &options));
    return plan;
  }

  static void quantize(const std::string &path, const std::string &out_path, const aby_model_options &options) {
    check(aby_model_quantize(path.c_str(), out_path.c_str(), &options));
  }

  void update(const std::vector<const aby_tensor *> &tensors) {
    check(aby_model_update(handle_.get().get(), tensors.data(), tensors.size()));
  }

  aby_model_info info() const {
    aby_model_info info;
    check(aby_model_info_get(&info, sizeof info, handle_.get().get()));
    return info;
  }
  std::vector<std::int32_t> eos_tokens() const {
    const auto held = handle_.get();
    return detail::read_array<std::int32_t>(4, [&](std::int32_t *out, std::size_t capacity, std::size_t *count) {
      return aby_model_eos_tokens(out, capacity, count, held.get());
    });
  }
  abyssal::device device() const {
    aby_device *of = nullptr;
    check(aby_model_device(&of, handle_.get().get()));
    return abyssal::device(of);
  }

  // Starts measuring evaluations from nothing, or stops.
  void profile(bool on) { check(aby_model_profile(handle_.get().get(), on ? 1 : 0)); }
  std::vector<aby_profile_part> profile_parts() const {
    const auto held = handle_.get();
    std::size_t count = 0;
    check(aby_model_profile_count(&count, held.get()));
    std::vector<aby_profile_part> parts;
    for (std::size_t i = 0; i < count; ++i) {
      aby_profile_part part;
      check(aby_model_profile_get(&part, sizeof part, held.get(), i));
      parts.push_back(part);
    }
    return parts;
  }

  // flags: ABY_TOKENIZE_
  std::vector<std::int32_t> tokenize(std::string_view text, std::uint32_t flags = ABY_TOKENIZE_DEFAULT) const {
    const auto held = handle_.get();
    return detail::read_array<std::int32_t>(
        text.size() + 1, [&](std::int32_t *out, std::size_t capacity, std::size_t *count) {
          return aby_model_tokenize(out, capacity, count, held.get(), text.data(), text.size(), flags);
        });
  }
  // Exact bytes. flags: ABY_DETOKENIZE_
  std::string detokenize(const std::vector<std::int32_t> &tokens, std::uint32_t flags = ABY_DETOKENIZE_DEFAULT) const {
    const auto held = handle_.get();
    return detail::read_text(tokens.size() * 8, [&](char *out, std::size_t capacity, std::size_t *length) {
      return aby_model_detokenize(out, capacity, length, held.get(), tokens.data(), tokens.size(), flags);
    });
  }
  std::string render_chat(std::string_view messages_json,
                          const aby_chat_options &options = default_chat_options()) const {
    const auto held = handle_.get();
    return detail::read_text(2 * messages_json.size() + 256, [&](char *out, std::size_t capacity, std::size_t *length) {
      return aby_model_render_chat(out, capacity, length, held.get(), messages_json.data(), messages_json.size(),
                                   &options);
    });
  }

  std::shared_ptr<aby_model> get() const { return handle_.get(); }
  bool closed() const { return handle_.closed(); }
  void close() { handle_.close(); }

private:
  using handle = detail::shared_handle<aby_model, aby_model_destroy>;
  handle handle_;
};

// Evaluated tokens and their cache: see aby_sequence.
class sequence {
public:
  explicit sequence(const model &of) {
    const auto parent = of.get();
    aby_sequence *created = nullptr;
    check(aby_sequence_create(&created, parent.get()));
    handle_ = handle(created, parent);
  }

  void eval(const std::vector<std::int32_t> &tokens, const aby_eval_options &options = default_eval_options()) {
    eval(tokens.data(), tokens.size(), options);
  }
  void eval(const std::int32_t *tokens, std::size_t count, const aby_eval_options &options = default_eval_options()) {
    check(aby_sequence_eval(handle_.get().get(), tokens, count, &options));
  }

  // A result: see aby_sequence_output for its shape and how long its data is valid.
  aby_array output(aby_output_kind kind, std::int32_t layer = 0) {
    aby_array array;
    check(aby_sequence_output(&array, sizeof array, handle_.get().get(), kind, layer));
    return array;
  }
  aby_array logits() { return output(ABY_OUTPUT_LOGITS); }
  aby_array hidden() { return output(ABY_OUTPUT_HIDDEN, -1); }

  std::size_t length() const {
    std::size_t length = 0;
    check(aby_sequence_length(&length, handle_.get().get()));
    return length;
  }
  std::vector<std::int32_t> tokens() const {
    const auto held = handle_.get();
    return detail::read_array<std::int32_t>(64, [&](std::int32_t *out, std::size_t capacity, std::size_t *count) {
      return aby_sequence_tokens(out, capacity, count, held.get());
    });
  }
  void truncate(std::size_t length) { check(aby_sequence_truncate(handle_.get().get(), length)); }
  sequence fork() const {
    const auto held = handle_.get();
    aby_sequence *copy = nullptr;
    check(aby_sequence_fork(&copy, held.get()));
    return sequence(handle(copy));
  }

  std::shared_ptr<aby_sequence> get() const { return handle_.get(); }
  bool closed() const { return handle_.closed(); }
  void close() { handle_.close(); }

private:
  using handle = detail::shared_handle<aby_sequence, aby_sequence_destroy>;
  explicit sequence(const handle &made) : handle_(made) {}
  handle handle_;
};

// Evaluates several sequences in shared passes: see aby_sequence_eval_batch.
inline void eval_batch(const std::vector<sequence> &sequences, const std::vector<std::vector<std::int32_t>> &tokens,
                       const aby_eval_options &options = default_eval_options()) {
  if (sequences.size() != tokens.size())
    throw error(ABY_ERROR_INVALID_ARGUMENT,
                std::to_string(sequences.size()) + " sequences, but tokens of " + std::to_string(tokens.size()));
  std::vector<std::shared_ptr<aby_sequence>> held;
  std::vector<aby_sequence *> handles;
  std::vector<const std::int32_t *> pointers;
  std::vector<std::size_t> counts;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    held.push_back(sequences[i].get());
    handles.push_back(held.back().get());
    pointers.push_back(tokens[i].data());
    counts.push_back(tokens[i].size());
  }
  check(aby_sequence_eval_batch(handles.data(), pointers.data(), counts.data(), handles.size(), &options));
}

// The words of a mask, as the C API takes them, from a flag for each id.
inline std::vector<std::uint32_t> mask_words(const std::uint8_t *allowed, std::size_t count) {
  std::vector<std::uint32_t> words((count + 31) / 32);
  for (std::size_t id = 0; id < count; ++id)
    words[id / 32] |= std::uint32_t(allowed[id] != 0) << (id % 32);
  return words;
}

// A compiled constraint: see aby_constraint.
class constraint {
public:
  constraint(const model &of, aby_constraint_kind kind, std::string_view text) {
    aby_constraint *compiled = nullptr;
    check(aby_constraint_compile(&compiled, of.get().get(), kind, text.data(), text.size()));
    handle_ = handle(compiled);
  }

  // For aby_reply_options.constraint. Keep it until the reply is made, which then keeps it itself.
  std::shared_ptr<aby_constraint> get() const { return handle_.get(); }
  bool closed() const { return handle_.closed(); }
  void close() { handle_.close(); }

private:
  using handle = detail::shared_handle<aby_constraint, aby_constraint_destroy>;
  handle handle_;
};

// A reply, a step at a time: see aby_generation.
class generation {
public:
  generation(const sequence &on, const std::vector<std::int32_t> &prompt,
             const aby_reply_options &options = default_reply_options()) {
    const auto parent = on.get();
    aby_generation *created = nullptr;
    check(aby_generation_create(&created, parent.get(), prompt.data(), prompt.size(), &options));
    handle_ = handle(created, parent);
  }

  // The events are valid until the next step.
  aby_events step(std::uint64_t microseconds = 0) {
    aby_events events;
    check(aby_generation_step(&events, sizeof events, handle_.get().get(), microseconds));
    return events;
  }
  std::uint64_t seed() const {
    std::uint64_t seed = 0;
    check(aby_generation_seed(&seed, handle_.get().get()));
    return seed;
  }
  // A flag for each id of the vocabulary: not 0 for one that may be drawn. None at all lift the mask.
  void set_mask(const std::uint8_t *allowed, std::size_t count) {
    const std::vector<std::uint32_t> words = mask_words(allowed, count);
    check(aby_generation_set_mask(handle_.get().get(), count > 0 ? words.data() : nullptr, count));
  }
  void set_mask(const std::vector<std::uint8_t> &allowed) { set_mask(allowed.data(), allowed.size()); }
  void cancel() { check(aby_generation_cancel(handle_.get().get())); }

  std::shared_ptr<aby_generation> get() const { return handle_.get(); }
  bool closed() const { return handle_.closed(); }
  void close() { handle_.close(); }

private:
  using handle = detail::shared_handle<aby_generation, aby_generation_destroy>;
  handle handle_;
};

// The text of event i.
inline std::string_view text_of(const aby_events &events, std::size_t i) {
  const auto begin = static_cast<std::size_t>(events.text_begin[i]);
  return std::string_view(events.text + begin, static_cast<std::size_t>(events.text_begin[i + 1]) - begin);
}

// ---------------------------------------------------------------- ops.h

inline aby_moe_route_args default_moe_route_args() { return ABYSSAL_MAKE(aby_moe_route_args); }
inline aby_experts_desc default_experts_desc() { return ABYSSAL_MAKE(aby_experts_desc); }
inline aby_moe_experts_args default_moe_experts_args() { return ABYSSAL_MAKE(aby_moe_experts_args); }
inline aby_mla_desc default_mla_desc() { return ABYSSAL_MAKE(aby_mla_desc); }
inline aby_mla_attend_args default_mla_attend_args() { return ABYSSAL_MAKE(aby_mla_attend_args); }

inline void moe_route(const device &on, const aby_moe_route_args &args) { check(aby_moe_route(on.get().get(), &args)); }

// Prepared expert weights: see aby_experts.
class experts {
public:
  experts(const device &on, const aby_experts_desc &desc) {
    aby_experts *created = nullptr;
    check(aby_experts_create(&created, on.get().get(), &desc));
    handle_ = handle(created);
  }
  void run(const aby_moe_experts_args &args) const { check(aby_moe_experts(handle_.get().get(), &args)); }
  bool closed() const { return handle_.closed(); }
  void close() { handle_.close(); }

private:
  using handle = detail::shared_handle<aby_experts, aby_experts_destroy>;
  handle handle_;
};

// A prepared MLA layer: see aby_mla.
class mla {
public:
  mla(const device &on, const aby_mla_desc &desc) {
    aby_mla *created = nullptr;
    check(aby_mla_create(&created, on.get().get(), &desc));
    handle_ = handle(created);
  }
  void attend(const aby_mla_attend_args &args) const { check(aby_mla_attend(handle_.get().get(), &args)); }
  bool closed() const { return handle_.closed(); }
  void close() { handle_.close(); }

private:
  using handle = detail::shared_handle<aby_mla, aby_mla_destroy>;
  handle handle_;
};

#undef ABYSSAL_MAKE

} // namespace abyssal

#endif
