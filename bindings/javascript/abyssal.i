// What JavaScript sees of the binding's C++ classes (src), as SWIG wraps them. index.cjs and its neighbours make the
// published API of it. To add a function of the library: its line in abyssal.hpp, one in the class, and one here.
%module abyssal

%begin %{
#if defined(__GNUC__)
#pragma GCC diagnostic ignored "-Wcast-function-type"
#endif
%}

%header %{
#include "generation.h"
#include "ops.h"

namespace {

// An argument of a call.
template <typename T> T read_argument(Napi::Env env, Napi::Value value, const char *name) {
  try {
    return abyssal::node::Js<T>::read(value, name);
  } catch (const abyssal::error &failed) {
    abyssal::node::throw_failure(env, {failed.status(), failed.what()});
  }
}

template <std::size_t N>
std::int32_t read_choice(Napi::Env env, Napi::Value value, const char *name, const abyssal::node::Choice (&table)[N]) {
  try {
    return abyssal::node::read_choice(value, name, table, N);
  } catch (const abyssal::error &failed) {
    abyssal::node::throw_failure(env, {failed.status(), failed.what()});
  }
}

} // namespace

// SWIG keeps tables that all threads share, and fills them in each environment anew.
#undef NODE_API_MODULE
#define NODE_API_MODULE(name, init)                                                                                    \
  static napi_value init_environment(napi_env env, napi_value exports) {                                               \
    static std::mutex one_at_a_time;                                                                                   \
    const std::lock_guard<std::mutex> lock(one_at_a_time);                                                             \
    return Napi::RegisterModule(env, exports, [](Napi::Env of, Napi::Object into) {                                    \
      abyssal::node::Bridge::open(of);                                                                                 \
      return init(of, into);                                                                                           \
    });                                                                                                                \
  }                                                                                                                    \
  NAPI_MODULE(name, init_environment)
%}

%exception {
  try {
    $action
  } catch (const Napi::Error &) {
    throw;
  } catch (...) {
    abyssal::node::throw_failure(env, abyssal::node::current_failure());
  }
}

// ---------------------------------------------------------------- arguments and results

%define %abyssal_number(Type)
%typemap(in) Type %{ $1 = read_argument<$1_ltype>(env, $input, "$1_name"); %}
%enddef

%define %abyssal_argument(Type...)
%feature("novaluewrapper") Type;
%typemap(in) Type %{ $1 = read_argument<$1_ltype>(env, $input, "$1_name"); %}
%enddef

%define %abyssal_choice(Type, Table)
%typemap(in) Type %{ $1 = read_choice(env, $input, "$1_name", abyssal::node::Table); %}
%enddef

%define %abyssal_result(Type...)
%feature("novaluewrapper") Type;
%typemap(out) Type %{ $result = abyssal::node::to_js(env, $1); %}
%enddef

%define %abyssal_struct(Type)
%feature("novaluewrapper") Type;
%typemap(out) Type %{ $result = abyssal::node::write_struct(env, $1); %}
%enddef

typedef struct napi_env__ *napi_env;
%typemap(in, numinputs=0) napi_env %{ $1 = env; %}
%typemap(in) Napi::Value %{ $1 = $input; %}
%typemap(in) Napi::Function %{ $1 = $input.As<Napi::Function>(); %}
%typemap(out) Napi::Value %{ $result = $1; %}
%feature("novaluewrapper") Napi::Value;
%feature("novaluewrapper") Napi::Function;

// A call that goes on: its promise.
%feature("novaluewrapper") abyssal::node::Task;
%typemap(out) abyssal::node::Task %{
  try {
    $result = abyssal::node::Bridge::of(env).start(std::move($1));
  } catch (const Napi::Error &) {
    throw;
  } catch (...) {
    abyssal::node::throw_failure(env, abyssal::node::current_failure());
  }
%}

%abyssal_number(bool)
%abyssal_number(std::int32_t)
%abyssal_number(std::uint32_t)
%abyssal_number(std::uint64_t)
%abyssal_argument(std::string)
%abyssal_argument(std::vector<std::int32_t>)
%abyssal_argument(std::vector<float>)
%abyssal_argument(abyssal::node::DeviceOptions)
%abyssal_argument(abyssal::node::ModelOptions)
%abyssal_argument(abyssal::node::ChatOptions)
%abyssal_argument(abyssal::node::EvalOptions)
%abyssal_argument(abyssal::node::ReplyOptions)
%abyssal_argument(abyssal::node::RouteArgs)
%abyssal_argument(abyssal::node::ExpertsDesc)
%abyssal_argument(abyssal::node::MlaDesc)
%abyssal_argument(abyssal::node::AttendArgs)
%abyssal_choice(aby_output_kind, kOutputKind)
%abyssal_choice(aby_constraint_kind, kConstraintKind)
%abyssal_choice(aby_dtype, kDtype)
%abyssal_result(std::vector<std::int32_t>)
%abyssal_result(aby_array)
%abyssal_struct(aby_device_info)
%abyssal_struct(aby_model_info)

%typemap(out) std::uint64_t %{ $result = abyssal::node::to_js(env, $1); %}
%typemap(out) std::uint32_t %{ $result = Napi::Number::New(env, $1); %}
%typemap(out) std::string %{ $result = abyssal::node::to_js(env, $1); %}

%define %abyssal_structs(Type)
%feature("novaluewrapper") std::vector<Type>;
%typemap(out) std::vector<Type> %{
  {
    const Napi::Array all = Napi::Array::New(env, $1.size());
    for (std::uint32_t i = 0; i < $1.size(); ++i)
      all.Set(i, abyssal::node::write_struct(env, $1[i]));
    $result = all;
  }
%}
%enddef

%abyssal_structs(aby_backend_info)
%abyssal_structs(aby_profile_part)

// ---------------------------------------------------------------- functions and classes

%inline %{
namespace abyssal::node {
// Errors are made with it: of text, code and status.
inline void set_error_class(napi_env env, Napi::Function type) { Bridge::of(env).set_error_class(type); }
} // namespace abyssal::node
%}

namespace abyssal {
std::string version();

namespace node {

class Task;
class DeviceOptions;
class ModelOptions;
class ChatOptions;
class EvalOptions;
class ReplyOptions;
class RouteArgs;
class ExpertsDesc;
class MlaDesc;
class AttendArgs;

std::vector<aby_backend_info> list_backends();

class Cancel {
public:
  void cancel();
};

class Tensors {
public:
  void add(std::string name, aby_dtype dtype, std::vector<std::int32_t> shape, std::uint64_t bytes);
  void write(std::uint32_t index, std::uint64_t offset, Napi::Value bytes);
};

class Model;

class Device {
public:
  void open(napi_env env, DeviceOptions options);
  void open_of(const Model &model);
  aby_device_info info();
  bool closed();
  void close();
};

class Model {
public:
  explicit Model(napi_env env);
  Task open(napi_env env, std::string path, ModelOptions options, const Device *device, const Cancel &cancel,
            Napi::Value progress, Napi::Value warning);
  Task open_tensors(napi_env env, std::string config, const Tensors &tensors, ModelOptions options,
                    const Device *device, const Cancel &cancel, Napi::Value progress, Napi::Value warning);
  static Task plan(napi_env env, std::string path, ModelOptions options, const Device *device);
  static Task quantize(napi_env env, std::string path, std::string out, ModelOptions options, const Cancel &cancel,
                       Napi::Value progress);
  Task update(const Tensors &tensors);
  Task profile(bool on);
  std::vector<aby_profile_part> profile_parts();
  aby_model_info info();
  std::vector<std::int32_t> eos_tokens();
  Task tokenize(napi_env env, std::string text, std::uint32_t flags);
  Task detokenize(napi_env env, std::vector<std::int32_t> tokens, std::uint32_t flags);
  Task render_chat(napi_env env, std::string messages, ChatOptions options);
  bool closed();
  void close();
};

class Sequence {
public:
  explicit Sequence(napi_env env);
  void create(const Model &model);
  void fork_of(const Sequence &other);
  Task eval(std::vector<std::int32_t> tokens, EvalOptions options, const Cancel &cancel);
  aby_array output(aby_output_kind kind, std::int32_t layer);
  std::uint32_t length();
  std::vector<std::int32_t> tokens();
  void truncate(std::uint32_t length);
  void cancel();
  bool closed();
  void close();
};

class Batch {
public:
  explicit Batch(napi_env env);
  void add(const Sequence &sequence, std::vector<std::int32_t> tokens);
  Task eval(EvalOptions options, const Cancel &cancel);
};

class Constraint {
public:
  Task compile(napi_env env, const Model &model, aby_constraint_kind kind, std::string text);
  Task compile_for(napi_env env, const Sequence &sequence, aby_constraint_kind kind, std::string text);
  bool closed();
  void close();
};

class Generation {
public:
  void create(napi_env env, const Sequence &sequence, std::vector<std::int32_t> prompt, ReplyOptions options,
              std::vector<std::int32_t> stop_tokens, std::string mask, const Constraint *constraint, bool ahead);
  std::uint64_t seed();
  Task set_mask(std::string mask);
  Napi::Value poll(napi_env env);
  Napi::Value take(napi_env env);
  void cancel();
  Task stop();
};

Task route(const Device &device, RouteArgs args, std::vector<float> logits, std::vector<float> bias);

class Experts {
public:
  Task create(const Device &device, const Tensors &tensors, ExpertsDesc desc);
  Task run(std::int32_t rows, std::int32_t top_k, std::vector<float> x, std::vector<std::int32_t> index,
           std::vector<float> weight);
  bool closed();
  void close();
};

class Mla {
public:
  Task create(const Device &device, const Tensors &tensors, MlaDesc desc);
  Task attend(AttendArgs args, const Tensors &tensors, std::vector<float> q, std::vector<std::int32_t> row_begin,
              std::vector<std::int32_t> context, std::vector<std::int32_t> block_table, std::uint32_t size);
  bool closed();
  void close();
};

} // namespace node
} // namespace abyssal
