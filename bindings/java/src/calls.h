// What the Java binding wraps beside abyssal.hpp: calls whose arguments Java gives in another shape.
#pragma once

#include "jni_values.h"
#include "utf16.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace abyssal::java {

// Copies of an info struct and of its strings, which otherwise end with the object described.
struct device_facts {
  explicit device_facts(const device &of) {
    const auto held = of.get();
    numbers = of.info();
    backend = numbers.backend;
    name = numbers.name;
    isa = numbers.isa;
  }
  aby_device_info numbers;
  std::string backend, name, isa;
};

struct model_facts {
  explicit model_facts(const model &of) {
    const auto held = of.get();
    numbers = of.info();
    architecture = numbers.architecture;
    attention = numbers.attention;
    weight_types = numbers.weight_types;
    weight_layouts = numbers.weight_layouts;
  }
  aby_model_info numbers;
  std::string architecture, attention, weight_types, weight_layouts;
};

// What was measured of a model, part by part.
class profile {
public:
  explicit profile(const model &of) : parts_(of.profile_parts()) {}
  std::size_t size() const { return parts_.size(); }
  const aby_profile_part &part(std::size_t index) const { return parts_.at(index); }
  std::string name(std::size_t index) const { return part(index).name; }

private:
  std::vector<aby_profile_part> parts_;
};

inline aby_device_options place(aby_device_options options, const optional_text &backend) {
  options.backend = backend.c_str();
  return options;
}

// Options of a model, with what they point at.
class model_setup {
public:
  model_setup(const aby_model_options &numbers, const device *on, const optional_text &backend,
              const optional_text &tokenizer, const optional_text &packed_cache)
      : raw_(numbers), held_(on != nullptr ? on->get() : nullptr), backend_(backend), tokenizer_(tokenizer),
        packed_cache_(packed_cache) {
    raw_.device = held_.get();
    raw_.backend = backend_.c_str();
    raw_.tokenizer = tokenizer_.c_str();
    raw_.packed_cache = packed_cache_.c_str();
  }
  model_setup(const model_setup &) = delete;
  model_setup &operator=(const model_setup &) = delete;

  // Runs body(options), which opens or writes a model, with progress and warnings told to watcher; null: to nobody.
  template <typename Body> void run(JNIEnv *env, jobject watcher, Body &&body) const {
    progress_call call{env, watcher};
    aby_model_options options = raw_;
    if (watcher != nullptr) {
      options.progress = report_progress;
      options.warning = report_warning;
      options.progress_context = options.warning_context = &call;
    }
    try {
      body(options);
    } catch (...) {
      if (env->ExceptionCheck() == JNI_FALSE)
        throw;
    }
    if (env->ExceptionCheck() != JNI_FALSE)
      throw java_thrown(); // the callback's own exception is the reason, and the last warning's cancels too
  }
  const aby_model_options &raw() const noexcept { return raw_; }

private:
  aby_model_options raw_;
  std::shared_ptr<aby_device> held_;
  optional_text backend_, tokenizer_, packed_cache_;
};

// Named tensors in direct buffers, which Java keeps alive.
class tensor_list {
public:
  void add(const std::string &name, aby_dtype dtype, const buffer &data, const std::vector<std::int64_t> &shape) {
    if (shape.size() > ABY_MAX_RANK)
      throw error(ABY_ERROR_INVALID_ARGUMENT, name + " has " + std::to_string(shape.size()) +
                                                  " dimensions; expected at most " + std::to_string(ABY_MAX_RANK));
    auto entry = std::make_unique<named>();
    entry->name = name;
    entry->tensor = default_tensor();
    entry->tensor.dtype = dtype;
    entry->tensor.name = entry->name.c_str();
    entry->tensor.data = data.data;
    entry->tensor.bytes = data.bytes;
    entry->tensor.rank = static_cast<std::uint32_t>(shape.size());
    std::copy(shape.begin(), shape.end(), entry->tensor.shape);
    entries_.push_back(std::move(entry));
  }
  std::vector<const aby_tensor *> raw() const {
    std::vector<const aby_tensor *> all;
    for (const auto &entry : entries_)
      all.push_back(&entry->tensor);
    return all;
  }

private:
  struct named {
    std::string name;
    aby_tensor tensor;
  };
  std::vector<std::unique_ptr<named>> entries_;
};

// What cancels an evaluation. Made for one, and kept until that has returned.
class cancel_flag {
public:
  cancel_flag() = default;
  cancel_flag(const cancel_flag &) = delete;
  cancel_flag &operator=(const cancel_flag &) = delete;
  // From any thread, also before the evaluation begins.
  void set() noexcept { __atomic_store_n(&value_, 1, __ATOMIC_RELAXED); }
  // The options, with this flag.
  aby_eval_options in(aby_eval_options options) const noexcept {
    options.cancel = &value_;
    return options;
  }

private:
  std::int32_t value_ = 0;
};

// Sequences and their tokens for one eval_batch.
class batch {
public:
  void add(const sequence &one, const std::vector<std::int32_t> &tokens) {
    sequences_.push_back(one);
    tokens_.push_back(tokens);
  }
  void eval(const aby_eval_options &options, const cancel_flag &flag) const {
    eval_batch(sequences_, tokens_, flag.in(options));
  }

private:
  std::vector<sequence> sequences_;
  std::vector<std::vector<std::int32_t>> tokens_;
};

inline std::size_t elements(const aby_array &array) {
  std::size_t count = 1;
  for (std::uint32_t i = 0; i < array.rank; ++i)
    count *= static_cast<std::size_t>(array.shape[i]);
  return count;
}

// Writes [rank, shape...] into a long[1 + ABY_MAX_RANK].
inline void write_shape(JNIEnv *env, const aby_array &array, jlongArray to) {
  jlong values[1 + ABY_MAX_RANK] = {static_cast<jlong>(array.rank)};
  std::copy(array.shape, array.shape + array.rank, values + 1);
  env->SetLongArrayRegion(to, 0, 1 + ABY_MAX_RANK, values);
  if (env->ExceptionCheck() != JNI_FALSE)
    throw java_thrown();
}

// One step of a reply: the numbers of its n events in columns, a new long[10 * n], and their text one after the other in
// text[0], which is left alone when there is none. org.abyssal.Step reads them.
inline jlongArray step(JNIEnv *env, generation &reply, std::uint64_t microseconds, jobjectArray text) {
  const auto held = reply.get(); // the events are its
  const aby_events events = reply.step(microseconds);
  const auto count = static_cast<std::size_t>(events.count);
  std::vector<std::int64_t> columns;
  columns.reserve(10 * count);
  const auto add = [&](const auto *column) { std::copy_n(column, count, std::back_inserter(columns)); };
  add(events.kind);
  add(events.token);
  add(events.text_kind);
  add(events.finish_reason);
  add(events.prompt_tokens);
  add(events.prompt_total);
  add(events.completion_tokens);
  add(events.reasoning_tokens);
  std::vector<std::int32_t> logprob_bits(count);
  std::memcpy(logprob_bits.data(), events.logprob, count * sizeof(float));
  add(logprob_bits.data());
  std::u16string units;
  for (std::size_t i = 0; i < count; ++i) {
    units += to_utf16(text_of(events, i));
    columns.push_back(static_cast<std::int64_t>(units.size())); // where the event's text ends
  }
  if (!units.empty()) {
    const jstring all = write_text(env, units);
    if (all != nullptr)
      env->SetObjectArrayElement(text, 0, all);
  }
  if (env->ExceptionCheck() != JNI_FALSE)
    throw java_thrown();
  return write_longs(env, columns.data(), columns.size());
}

} // namespace abyssal::java
