// Values of JavaScript as C++ takes them, checked, and back.
#pragma once

#include <abyssal/abyssal.hpp>

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace abyssal::node {

// A name of an enumeration's value.
struct Choice {
  const char *name;
  std::int32_t value;
};

// Throws ABY_ERROR_INVALID_ARGUMENT.
[[noreturn]] void refuse(const std::string &text);
std::string join(const std::vector<std::string> &names);

std::int32_t read_choice(Napi::Value value, const char *name, const Choice *table, std::size_t count);
const char *choice_name(std::int32_t value, const Choice *table, std::size_t count); // "unknown" for a new one
std::string read_name(Napi::Value value, const char *name);                          // a string without NUL

// Js<T>::read makes a T of a value; name is for the error.
template <typename T> struct Js;

template <> struct Js<bool> {
  static bool read(Napi::Value value, const char *name);
};
template <> struct Js<std::int32_t> {
  static std::int32_t read(Napi::Value value, const char *name);
};
template <> struct Js<std::uint32_t> {
  static std::uint32_t read(Napi::Value value, const char *name);
};
template <> struct Js<std::uint64_t> { // a number that is exact, or a BigInt
  static std::uint64_t read(Napi::Value value, const char *name);
};
template <> struct Js<float> {
  static float read(Napi::Value value, const char *name);
};
template <> struct Js<std::string> { // a string, or bytes
  static std::string read(Napi::Value value, const char *name);
};
template <> struct Js<std::vector<std::int32_t>> { // an Int32Array, or an array of integers
  static std::vector<std::int32_t> read(Napi::Value value, const char *name);
};
template <> struct Js<std::vector<float>> { // a Float32Array
  static std::vector<float> read(Napi::Value value, const char *name);
};
template <typename T> struct Js<std::vector<T>> {
  static std::vector<T> read(Napi::Value value, const char *name) {
    if (!value.IsArray())
      refuse(std::string(name) + " is not an array");
    const auto array = value.As<Napi::Array>();
    std::vector<T> all;
    for (std::uint32_t i = 0; i < array.Length(); ++i)
      all.push_back(Js<T>::read(array.Get(i), name));
    return all;
  }
};

Napi::Value to_js(Napi::Env env, const std::vector<std::int32_t> &values); // Int32Array
Napi::Value to_js(Napi::Env env, const std::vector<float> &values);        // Float32Array
Napi::Value to_js(Napi::Env env, const std::string &text);
Napi::Value to_js(Napi::Env env, std::uint64_t number); // a number if it is exact, else a BigInt
// {data, shape}: the library's array, copied into an Int32Array or a Float32Array.
Napi::Value to_js(Napi::Env env, const aby_array &array);

// Bytes that need not be text.
struct Bytes {
  std::string content;
};
Napi::Value to_js(Napi::Env env, const Bytes &bytes); // Uint8Array

} // namespace abyssal::node
