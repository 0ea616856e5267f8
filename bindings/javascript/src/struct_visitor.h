// Fills the C API's structs from plain objects, and makes plain objects of them: see structs.py.
#pragma once

#include "struct_fields.h"

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

namespace abyssal::node {

// Reads the properties that are there; the others keep their defaults.
class StructReader {
public:
  StructReader(Napi::Object from, std::deque<std::string> &texts) : from_(from), texts_(texts) {}

  template <typename Number> void number(const char *name, Number &out) {
    if (const Napi::Value value = find(name); !value.IsEmpty())
      out = Js<Number>::read(value, name);
  }
  template <typename Number> void flag(const char *name, Number &out) {
    if (const Napi::Value value = find(name); !value.IsEmpty())
      out = value.ToBoolean() ? 1 : 0;
  }
  void text(const char *name, const char *&out) {
    if (const Napi::Value value = find(name); !value.IsEmpty())
      out = texts_.emplace_back(read_name(value, name)).c_str();
  }
  template <std::size_t N> void choice(const char *name, std::int32_t &out, const Choice (&table)[N]) {
    if (const Napi::Value value = find(name); !value.IsEmpty())
      out = read_choice(value, name, table, N);
  }

  // A misspelt option must not be ignored.
  void refuse_others() const {
    const Napi::Array given = from_.GetPropertyNames();
    for (std::uint32_t i = 0; i < given.Length(); ++i) {
      const std::string name = given.Get(i).ToString();
      if (std::find(known_.begin(), known_.end(), name) == known_.end())
        refuse("unknown option " + name + "; expected one of " + join(known_));
    }
  }

private:
  // Empty: not given.
  Napi::Value find(const char *name) {
    known_.push_back(name);
    const Napi::Value value = from_.Get(name);
    return value.IsUndefined() || value.IsNull() ? Napi::Value() : value;
  }

  Napi::Object from_;
  std::deque<std::string> &texts_;
  std::vector<std::string> known_;
};

class StructWriter {
public:
  explicit StructWriter(Napi::Env env) : made_(Napi::Object::New(env)) {}

  template <typename Number> void number(const char *name, Number value) {
    made_.Set(name, Napi::Number::New(made_.Env(), static_cast<double>(value)));
  }
  template <typename Number> void flag(const char *name, Number value) {
    made_.Set(name, Napi::Boolean::New(made_.Env(), value != 0));
  }
  void text(const char *name, const char *value) { made_.Set(name, value == nullptr ? "" : value); }
  template <std::size_t N> void choice(const char *name, std::int32_t value, const Choice (&table)[N]) {
    made_.Set(name, choice_name(value, table, N));
  }
  Napi::Object take() const { return made_; }

private:
  Napi::Object made_;
};

// A struct of options, and the texts that it points to. Shared, because copies would point to the first one's texts.
template <typename Struct> struct WithTexts {
  Struct raw;
  std::deque<std::string> texts;
};
template <typename Struct> using Options = std::shared_ptr<WithTexts<Struct>>;

template <typename Struct> struct Js<Options<Struct>> {
  static Options<Struct> read(Napi::Value value, const char *name) {
    if (!value.IsObject())
      refuse(std::string(name) + " is not an object");
    auto options = std::make_shared<WithTexts<Struct>>();
    init(options->raw);
    StructReader reader(value.As<Napi::Object>(), options->texts);
    visit(options->raw, reader);
    reader.refuse_others();
    return options;
  }
};

template <typename Struct> Napi::Value write_struct(Napi::Env env, Struct &value) {
  StructWriter writer(env);
  visit(value, writer);
  return writer.take();
}

} // namespace abyssal::node
