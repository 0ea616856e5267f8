#include "jni_values.h"

#include "utf16.h"

#include <new>

namespace abyssal::java {

namespace {

constexpr std::size_t kMostElements = 0x7FFFFFF7; // what the JVM allows in one array

void throw_class(JNIEnv *env, const char *name, const char *text) noexcept {
  if (const jclass kind = env->FindClass(name)) {
    env->ThrowNew(kind, text);
    env->DeleteLocalRef(kind);
  }
}

bool refuse_null(JNIEnv *env, const char *what) noexcept {
  throw_class(env, "java/lang/NullPointerException", what);
  return false;
}

// Runs body, which reads with JNI and may allocate.
template <typename Body> bool guarded(JNIEnv *env, Body &&body) noexcept {
  try {
    body();
  } catch (...) {
    throw_current(env);
  }
  return env->ExceptionCheck() == JNI_FALSE;
}

bool fits(JNIEnv *env, std::size_t count) noexcept {
  if (count <= kMostElements)
    return true;
  throw_status(env, ABY_ERROR_UNSUPPORTED, "the result has more elements than a Java array or buffer can hold");
  return false;
}

} // namespace

bool read(JNIEnv *env, jstring from, std::string &to) noexcept {
  if (from == nullptr)
    return refuse_null(env, "text is null");
  return guarded(env, [&] {
    const jsize length = env->GetStringLength(from);
    std::vector<jchar> units(static_cast<std::size_t>(length));
    env->GetStringRegion(from, 0, length, units.data());
    to = to_utf8(units.data(), units.size());
  });
}

bool read(JNIEnv *env, jstring from, optional_text &to) noexcept {
  to.given = from != nullptr;
  return from == nullptr || read(env, from, to.text);
}

bool read(JNIEnv *env, jintArray from, std::vector<std::int32_t> &to) noexcept {
  if (from == nullptr)
    return refuse_null(env, "an array is null");
  return guarded(env, [&] {
    to.resize(static_cast<std::size_t>(env->GetArrayLength(from)));
    env->GetIntArrayRegion(from, 0, static_cast<jsize>(to.size()), to.data());
  });
}

bool read(JNIEnv *env, jlongArray from, std::vector<std::int64_t> &to) noexcept {
  if (from == nullptr)
    return refuse_null(env, "an array is null");
  return guarded(env, [&] {
    to.resize(static_cast<std::size_t>(env->GetArrayLength(from)));
    env->GetLongArrayRegion(from, 0, static_cast<jsize>(to.size()), reinterpret_cast<jlong *>(to.data()));
  });
}

bool read(JNIEnv *env, jfloatArray from, std::vector<float> &to) noexcept {
  if (from == nullptr)
    return refuse_null(env, "an array is null");
  return guarded(env, [&] {
    to.resize(static_cast<std::size_t>(env->GetArrayLength(from)));
    env->GetFloatArrayRegion(from, 0, static_cast<jsize>(to.size()), to.data());
  });
}

bool read(JNIEnv *env, jbooleanArray from, std::vector<std::uint8_t> &to) noexcept {
  if (from == nullptr)
    return refuse_null(env, "an array is null");
  return guarded(env, [&] {
    to.resize(static_cast<std::size_t>(env->GetArrayLength(from)));
    env->GetBooleanArrayRegion(from, 0, static_cast<jsize>(to.size()), to.data());
  });
}

bool read(JNIEnv *env, jobject direct_buffer, buffer &to) noexcept {
  if (direct_buffer == nullptr)
    return refuse_null(env, "a buffer is null");
  to.data = env->GetDirectBufferAddress(direct_buffer);
  const jlong bytes = env->GetDirectBufferCapacity(direct_buffer);
  to.bytes = bytes > 0 ? static_cast<std::uint64_t>(bytes) : 0;
  if (bytes >= 0 && (to.data != nullptr || bytes == 0))
    return true;
  throw_status(env, ABY_ERROR_INVALID_ARGUMENT, "a buffer is not direct");
  return false;
}

jstring write_text(JNIEnv *env, std::string_view text) noexcept {
  jstring made = nullptr;
  guarded(env, [&] { made = write_text(env, to_utf16(text)); });
  return made;
}

jstring write_text(JNIEnv *env, const std::u16string &units) noexcept {
  if (!fits(env, units.size()))
    return nullptr;
  return env->NewString(reinterpret_cast<const jchar *>(units.data()), static_cast<jsize>(units.size()));
}

jbyteArray write_bytes(JNIEnv *env, std::string_view bytes) noexcept {
  if (!fits(env, bytes.size()))
    return nullptr;
  const jbyteArray made = env->NewByteArray(static_cast<jsize>(bytes.size()));
  if (made != nullptr)
    env->SetByteArrayRegion(made, 0, static_cast<jsize>(bytes.size()), reinterpret_cast<const jbyte *>(bytes.data()));
  return made;
}

jintArray write_ints(JNIEnv *env, const std::int32_t *values, std::size_t count) noexcept {
  if (!fits(env, count))
    return nullptr;
  const jintArray made = env->NewIntArray(static_cast<jsize>(count));
  if (made != nullptr)
    env->SetIntArrayRegion(made, 0, static_cast<jsize>(count), values);
  return made;
}

jlongArray write_longs(JNIEnv *env, const std::int64_t *values, std::size_t count) noexcept {
  if (!fits(env, count))
    return nullptr;
  const jlongArray made = env->NewLongArray(static_cast<jsize>(count));
  if (made != nullptr)
    env->SetLongArrayRegion(made, 0, static_cast<jsize>(count), reinterpret_cast<const jlong *>(values));
  return made;
}

jfloatArray write_floats(JNIEnv *env, const float *values, std::size_t count) noexcept {
  if (!fits(env, count))
    return nullptr;
  const jfloatArray made = env->NewFloatArray(static_cast<jsize>(count));
  if (made != nullptr)
    env->SetFloatArrayRegion(made, 0, static_cast<jsize>(count), values);
  return made;
}

void throw_status(JNIEnv *env, aby_status status, std::string_view text) noexcept {
  if (env->ExceptionCheck() != JNI_FALSE)
    return; // the first one tells why
  const jclass kind = env->FindClass("org/abyssal/AbyssalException");
  if (kind == nullptr)
    return;
  const jmethodID make = env->GetMethodID(kind, "<init>", "(ILjava/lang/String;)V");
  if (make == nullptr)
    return;
  const jstring message = write_text(env, text);
  if (message == nullptr)
    return;
  const jobject made = env->NewObject(kind, make, static_cast<jint>(status), message);
  if (made != nullptr)
    env->Throw(static_cast<jthrowable>(made));
}

void throw_current(JNIEnv *env) noexcept {
  try {
    throw;
  } catch (const java_thrown &) { // pending already
  } catch (const error &failed) {
    throw_status(env, failed.status(), failed.what());
  } catch (const std::bad_alloc &) {
    throw_status(env, ABY_ERROR_NO_MEMORY, "host memory is exhausted");
  } catch (const std::exception &failed) {
    throw_status(env, ABY_ERROR_INTERNAL, failed.what());
  } catch (...) {
    throw_status(env, ABY_ERROR_INTERNAL, "unknown C++ exception");
  }
}

std::int32_t report_progress(void *context, aby_stage stage, std::uint64_t done, std::uint64_t total) {
  const auto *call = static_cast<const progress_call *>(context);
  JNIEnv *env = call->env;
  if (env->ExceptionCheck() != JNI_FALSE)
    return 1;
  const jclass kind = env->GetObjectClass(call->watcher);
  const jmethodID report = env->GetMethodID(kind, "report", "(IJJ)Z");
  env->DeleteLocalRef(kind);
  if (report == nullptr)
    return 1;
  const jboolean cancelled = env->CallBooleanMethod(call->watcher, report, static_cast<jint>(stage),
                                                    static_cast<jlong>(done), static_cast<jlong>(total));
  return env->ExceptionCheck() != JNI_FALSE || cancelled != JNI_FALSE ? 1 : 0;
}

void report_warning(void *context, const char *text) {
  const auto *call = static_cast<const progress_call *>(context);
  JNIEnv *env = call->env;
  if (env->ExceptionCheck() != JNI_FALSE)
    return;
  const jstring said = write_text(env, text);
  if (said == nullptr)
    return;
  const jclass kind = env->GetObjectClass(call->watcher);
  const jmethodID warn = env->GetMethodID(kind, "warn", "(Ljava/lang/String;)V");
  env->DeleteLocalRef(kind);
  if (warn != nullptr)
    env->CallVoidMethod(call->watcher, warn, said);
  env->DeleteLocalRef(said);
}

} // namespace abyssal::java
