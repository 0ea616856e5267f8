#include "convert.h"

#include <cmath>
#include <cstring>

namespace abyssal::node {

void refuse(const std::string &text) { throw error(ABY_ERROR_INVALID_ARGUMENT, text); }

std::string join(const std::vector<std::string> &names) {
  std::string all;
  for (const std::string &name : names)
    all += (all.empty() ? "" : ", ") + name;
  return all;
}

namespace {

constexpr double kMostExact = 9007199254740991; // Number.MAX_SAFE_INTEGER

std::string quoted(Napi::Value value) {
  const std::string text = value.IsSymbol() ? "a symbol" : std::string(value.ToString());
  return value.IsString() ? "'" + text + "'" : text;
}

// A number within the limits without a fraction.
double read_integer(Napi::Value value, const char *name, double low, double high) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= low && number <= high) || std::trunc(number) != number)
    refuse(std::string(name) + " is " + quoted(value) + "; expected an integer from " +
           std::to_string(static_cast<long long>(low)) + " to " + std::to_string(static_cast<long long>(high)));
  return number;
}

template <typename Array, typename Element> Napi::Value copy_array(Napi::Env env, const Element *data, std::size_t n) {
  Array made = Array::New(env, n);
  if (n != 0)
    std::memcpy(made.Data(), data, n * sizeof(Element));
  return made;
}

bool is_array_of(Napi::Value value, napi_typedarray_type type) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type;
}

} // namespace

namespace {

bool is_high(char16_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool is_low(char16_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

// As UTF-8. A lone surrogate, which Node-API would replace, keeps its three bytes: the library refuses it with its
// place.
std::string utf8(const std::u16string &units) {
  std::string text;
  const auto put = [&](std::uint32_t byte) { text.push_back(static_cast<char>(byte)); };
  for (std::size_t i = 0; i < units.size(); ++i) {
    std::uint32_t value = units[i];
    if (is_high(units[i]) && i + 1 < units.size() && is_low(units[i + 1]))
      value = 0x10000 + ((value - 0xD800) << 10) + (units[++i] - 0xDC00u);
    const int more = value < 0x80 ? 0 : value < 0x800 ? 1 : value < 0x10000 ? 2 : 3;
    constexpr std::uint32_t kLead[] = {0, 0xC0, 0xE0, 0xF0};
    put(kLead[more] | value >> (6 * more));
    for (int left = more - 1; left >= 0; --left)
      put(0x80 | (value >> (6 * left) & 0x3F));
  }
  return text;
}

} // namespace

std::int32_t read_choice(Napi::Value value, const char *name, const Choice *table, std::size_t count) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count; ++i) {
    if (value.IsString() && value.As<Napi::String>().Utf8Value() == table[i].name)
      return table[i].value;
    names.emplace_back(table[i].name);
  }
  refuse(std::string(name) + " is " + quoted(value) + "; expected one of " + join(names));
}

const char *choice_name(std::int32_t value, const Choice *table, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    if (table[i].value == value)
      return table[i].name;
  }
  return "unknown";
}

std::string read_name(Napi::Value value, const char *name) {
  if (!value.IsString())
    refuse(std::string(name) + " is " + quoted(value) + "; expected a string");
  std::string text = value.As<Napi::String>();
  if (text.find('\0') != std::string::npos)
    refuse(std::string(name) + " holds a NUL character");
  return text;
}

bool Js<bool>::read(Napi::Value value, const char *name) {
  if (!value.IsBoolean())
    refuse(std::string(name) + " is " + quoted(value) + "; expected true or false");
  return value.As<Napi::Boolean>();
}

std::int32_t Js<std::int32_t>::read(Napi::Value value, const char *name) {
  return static_cast<std::int32_t>(read_integer(value, name, INT32_MIN, INT32_MAX));
}

std::uint32_t Js<std::uint32_t>::read(Napi::Value value, const char *name) {
  return static_cast<std::uint32_t>(read_integer(value, name, 0, UINT32_MAX));
}

std::uint64_t Js<std::uint64_t>::read(Napi::Value value, const char *name) {
  if (!value.IsBigInt())
    return static_cast<std::uint64_t>(read_integer(value, name, 0, kMostExact));
  bool lossless = false;
  const std::uint64_t number = value.As<Napi::BigInt>().Uint64Value(&lossless);
  if (!lossless)
    refuse(std::string(name) + " is " + quoted(value) + "; expected an integer of 64 bits, not negative");
  return number;
}

float Js<float>::read(Napi::Value value, const char *name) {
  if (!value.IsNumber() || !std::isfinite(value.As<Napi::Number>().DoubleValue()))
    refuse(std::string(name) + " is " + quoted(value) + "; expected a number");
  return value.As<Napi::Number>().FloatValue();
}

std::string Js<std::string>::read(Napi::Value value, const char *name) {
  if (value.IsString())
    return utf8(value.As<Napi::String>());
  if (!is_array_of(value, napi_uint8_array))
    refuse(std::string(name) + " is " + quoted(value) + "; expected a string, or a Uint8Array");
  const auto bytes = value.As<Napi::Uint8Array>();
  return std::string(reinterpret_cast<const char *>(bytes.Data()), bytes.ElementLength());
}

std::vector<std::int32_t> Js<std::vector<std::int32_t>>::read(Napi::Value value, const char *name) {
  if (is_array_of(value, napi_int32_array)) {
    const auto array = value.As<Napi::Int32Array>();
    return {array.Data(), array.Data() + array.ElementLength()};
  }
  if (!value.IsArray())
    refuse(std::string(name) + " is " + quoted(value) + "; expected an Int32Array, or an array of integers");
  const auto array = value.As<Napi::Array>();
  std::vector<std::int32_t> all(array.Length());
  for (std::uint32_t i = 0; i < array.Length(); ++i)
    all[i] = Js<std::int32_t>::read(array.Get(i), (name + ("[" + std::to_string(i) + "]")).c_str());
  return all;
}

std::vector<float> Js<std::vector<float>>::read(Napi::Value value, const char *name) {
  if (!is_array_of(value, napi_float32_array))
    refuse(std::string(name) + " is " + quoted(value) + "; expected a Float32Array");
  const auto array = value.As<Napi::Float32Array>();
  return {array.Data(), array.Data() + array.ElementLength()};
}

Napi::Value to_js(Napi::Env env, const std::vector<std::int32_t> &values) {
  return copy_array<Napi::Int32Array>(env, values.data(), values.size());
}
Napi::Value to_js(Napi::Env env, const std::vector<float> &values) {
  return copy_array<Napi::Float32Array>(env, values.data(), values.size());
}
Napi::Value to_js(Napi::Env env, const std::string &text) { return Napi::String::New(env, text); }
Napi::Value to_js(Napi::Env env, std::uint64_t number) {
  const auto inexact = static_cast<double>(number);
  if (inexact > kMostExact)
    return Napi::BigInt::New(env, number);
  return Napi::Number::New(env, inexact);
}
Napi::Value to_js(Napi::Env env, const Bytes &bytes) {
  return copy_array<Napi::Uint8Array>(env, bytes.content.data(), bytes.content.size());
}

Napi::Value to_js(Napi::Env env, const aby_array &array) {
  std::size_t count = 1;
  const Napi::Array shape = Napi::Array::New(env, array.rank);
  for (std::uint32_t i = 0; i < array.rank; ++i) {
    count *= static_cast<std::size_t>(array.shape[i]);
    shape.Set(i, static_cast<double>(array.shape[i]));
  }
  const Napi::Object made = Napi::Object::New(env);
  made.Set("data", array.dtype == ABY_DTYPE_I32
                       ? copy_array<Napi::Int32Array>(env, static_cast<const std::int32_t *>(array.data), count)
                       : copy_array<Napi::Float32Array>(env, static_cast<const float *>(array.data), count));
  made.Set("shape", shape);
  return made;
}

} // namespace abyssal::node
