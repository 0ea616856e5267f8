// Values between C++ and the JVM: text, arrays, direct buffers, exceptions.
#pragma once

#include <abyssal/abyssal.hpp>

#include <jni.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace abyssal::java {

// Thrown through C++ while a Java exception is pending.
struct java_thrown {};

// Text that Java may leave out (null).
struct optional_text {
  std::string text;
  bool given = false;
  const char *c_str() const noexcept { return given ? text.c_str() : nullptr; }
};

// A direct buffer from its start to its capacity.
struct buffer {
  void *data = nullptr;
  std::uint64_t bytes = 0;
};

// Arguments. False: a Java exception is pending. Text becomes UTF-8, not JNI's modified one; a lone surrogate keeps its
// three bytes, which the library refuses with their position.
bool read(JNIEnv *env, jstring from, std::string &to) noexcept;
bool read(JNIEnv *env, jstring from, optional_text &to) noexcept;
bool read(JNIEnv *env, jintArray from, std::vector<std::int32_t> &to) noexcept;
bool read(JNIEnv *env, jlongArray from, std::vector<std::int64_t> &to) noexcept;
bool read(JNIEnv *env, jfloatArray from, std::vector<float> &to) noexcept;
bool read(JNIEnv *env, jbooleanArray from, std::vector<std::uint8_t> &to) noexcept;
bool read(JNIEnv *env, jobject direct_buffer, buffer &to) noexcept;

// Results. Null: a Java exception is pending. Bytes that are not UTF-8 become U+FFFD.
jstring write_text(JNIEnv *env, std::string_view text) noexcept;
jstring write_text(JNIEnv *env, const std::u16string &units) noexcept;
jbyteArray write_bytes(JNIEnv *env, std::string_view bytes) noexcept;
jintArray write_ints(JNIEnv *env, const std::int32_t *values, std::size_t count) noexcept;
jlongArray write_longs(JNIEnv *env, const std::int64_t *values, std::size_t count) noexcept;
jfloatArray write_floats(JNIEnv *env, const float *values, std::size_t count) noexcept;

// Turns the C++ exception that is being handled into a pending Java one.
void throw_current(JNIEnv *env) noexcept;
// Makes an AbyssalException pending.
void throw_status(JNIEnv *env, aby_status status, std::string_view text) noexcept;

// aby_progress_fn and aby_warning_fn whose context is a progress_call: asks and tells the Java object, on the thread
// that opens. An exception of the object stays pending, and the next progress cancels.
struct progress_call {
  JNIEnv *env;
  jobject watcher; // an org.abyssal.OpenProgress, or null
};
std::int32_t report_progress(void *context, aby_stage stage, std::uint64_t done, std::uint64_t total);
void report_warning(void *context, const char *text);

} // namespace abyssal::java
