// Plan, open, describe and update models.
#include "arrays.h"
#include "bindings.h"

#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <exception>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

namespace py = pybind11;

namespace abyssal::python {

namespace {

// The options with everything that their pointers point at.
struct ModelOptions {
  aby_model_options raw = default_model_options();
  std::shared_ptr<device> on;
  std::optional<std::string> backend, tokenizer, packed_cache;
  py::object progress;
};

std::unique_ptr<ModelOptions> make_model_options(const DeviceHandle *on, std::optional<std::string> backend,
                                                 std::uint32_t threads, aby_dtype activations, aby_dtype cache_dtype,
                                                 std::uint64_t cache_tokens, std::uint32_t absorb_below, bool mtp,
                                                 std::optional<std::string> tokenizer, py::object progress,
                                                 aby_weights_kind weights, std::optional<std::string> packed_cache,
                                                 bool packed_cache_check, aby_attention_kind attention) {
  auto options = std::make_unique<ModelOptions>();
  if (on != nullptr) {
    options->on = on->get();
    options->raw.device = options->on->get().get(); // kept by `on`, which nobody closes
  }
  options->backend = std::move(backend);
  options->tokenizer = std::move(tokenizer);
  options->progress = std::move(progress);
  options->raw.threads = threads;
  options->raw.backend = options->backend ? options->backend->c_str() : nullptr;
  options->raw.activations = activations;
  options->raw.cache_dtype = cache_dtype;
  options->raw.cache_tokens = cache_tokens;
  options->raw.absorb_below = absorb_below;
  options->raw.mtp = mtp ? 1 : 0;
  options->raw.weights = weights;
  options->packed_cache = std::move(packed_cache);
  options->raw.packed_cache = options->packed_cache ? options->packed_cache->c_str() : nullptr;
  options->raw.packed_cache_check = packed_cache_check ? 1 : 0;
  options->raw.attention = attention;
  options->raw.tokenizer = options->tokenizer ? options->tokenizer->c_str() : nullptr;
  return options;
}

// Calls the caller's function while a model opens, and looks for signals on the way.
struct ProgressCall {
  py::object function; // may be None
  std::exception_ptr raised;
  Outside *outside = nullptr; // that the opening thread is in

  static std::int32_t call(void *context, aby_stage stage, std::uint64_t done, std::uint64_t total) {
    auto &self = *static_cast<ProgressCall *>(context);
    const Inside inside(*self.outside);
    try {
      if (PyErr_CheckSignals() != 0)
        throw py::error_already_set();
      return !self.function.is_none() && self.function(stage, done, total).cast<bool>() ? 1 : 0;
    } catch (...) {
      self.raised = std::current_exception();
      return 1;
    }
  }
};

// Makes a model with the options, and throws what the progress function threw.
template <typename Open> std::unique_ptr<ModelHandle> open_with(const ModelOptions &options, Open open) {
  ProgressCall progress{options.progress, nullptr, nullptr};
  aby_model_options raw = options.raw;
  raw.progress = ProgressCall::call;
  raw.progress_context = &progress;
  std::vector<std::string> warnings;
  raw.warning = [](void *context, const char *text) {
    static_cast<std::vector<std::string> *>(context)->emplace_back(text);
  };
  raw.warning_context = &warnings;
  std::unique_ptr<ModelHandle> handle;
  std::exception_ptr failed;
  {
    Outside outside;
    progress.outside = &outside;
    try {
      handle = std::make_unique<ModelHandle>(open(raw));
    } catch (...) {
      failed = std::current_exception();
    }
  }
  if (progress.raised)
    std::rethrow_exception(progress.raised);
  if (failed)
    std::rethrow_exception(failed);
  for (const std::string &text : warnings) {
    if (PyErr_WarnEx(PyExc_RuntimeWarning, text.c_str(), 1) != 0)
      throw py::error_already_set(); // the caller turns warnings into errors
  }
  return handle;
}

std::unique_ptr<ModelHandle> open_model(const std::string &path, const ModelOptions &options) {
  return open_with(options, [&](const aby_model_options &raw) { return model(path, raw); });
}

py::dict plan_model(const std::string &path, const ModelOptions &options) {
  const aby_model_plan plan = [&] {
    const Outside outside;
    return model::plan(path, options.raw);
  }();
  py::dict result;
  result["layers"] = plan.layers;
  result["parameters"] = plan.parameters;
  result["active_parameters"] = plan.active_parameters;
  result["file_bytes"] = plan.file_bytes;
  result["weight_bytes"] = plan.weight_bytes;
  result["mapped_bytes"] = plan.mapped_bytes;
  result["cache_bytes_per_token"] = plan.cache_bytes_per_token;
  result["cache_tokens"] = plan.cache_tokens;
  result["cache_bytes"] = plan.cache_bytes;
  result["scratch_bytes"] = plan.scratch_bytes;
  result["total_bytes"] = plan.total_bytes;
  return result;
}

using RawTensor = std::tuple<std::string, aby_dtype, py::buffer>;

// Named arrays as the C API takes them. The buffers stay exported meanwhile, so that nobody can resize them.
class Tensors {
public:
  explicit Tensors(const std::vector<RawTensor> &given) {
    names_.reserve(given.size());
    tensors_.reserve(given.size());
    for (const auto &[name, dtype, buffer] : given)
      add(name, dtype, buffer.request());
    for (const aby_tensor &tensor : tensors_)
      pointers_.push_back(&tensor);
  }
  const std::vector<const aby_tensor *> &get() const noexcept { return pointers_; }

private:
  void add(const std::string &name, aby_dtype dtype, py::buffer_info info) {
    if (info.ndim > ABY_MAX_RANK)
      throw error(ABY_ERROR_INVALID_ARGUMENT, "tensor " + name + " has " + std::to_string(info.ndim) +
                                                  " dimensions; expected at most " + std::to_string(ABY_MAX_RANK));
    if (name.find('\0') != std::string::npos)
      throw error(ABY_ERROR_INVALID_ARGUMENT, "the name of tensor " + name + " holds a NUL");
    names_.push_back(name);
    auto tensor = default_tensor();
    tensor.dtype = dtype;
    tensor.name = names_.back().c_str();
    tensor.data = info.ptr;
    tensor.bytes = static_cast<std::uint64_t>(info.size) * static_cast<std::uint64_t>(info.itemsize);
    tensor.rank = static_cast<std::uint32_t>(info.ndim);
    std::copy(info.shape.begin(), info.shape.end(), tensor.shape);
    tensors_.push_back(tensor);
    buffers_.push_back(std::move(info));
  }

  std::vector<std::string> names_; // reserved: pointers into it stay
  std::vector<aby_tensor> tensors_;
  std::vector<const aby_tensor *> pointers_;
  std::vector<py::buffer_info> buffers_;
};

std::unique_ptr<ModelHandle> open_tensors(const std::string &config, const std::vector<RawTensor> &given,
                                          const ModelOptions &options) {
  const Tensors tensors(given);
  return open_with(options, [&](const aby_model_options &raw) { return model(config, tensors.get(), raw); });
}

void quantize(const std::string &path, const std::string &out, const ModelOptions &options) {
  ProgressCall progress{options.progress, nullptr, nullptr};
  aby_model_options raw = options.raw;
  raw.progress = ProgressCall::call;
  raw.progress_context = &progress;
  std::exception_ptr failed;
  {
    Outside outside;
    progress.outside = &outside;
    try {
      model::quantize(path, out, raw);
    } catch (...) {
      failed = std::current_exception();
    }
  }
  if (progress.raised)
    std::rethrow_exception(progress.raised);
  if (failed)
    std::rethrow_exception(failed);
}

void update(const ModelHandle &handle, const std::vector<RawTensor> &given) {
  const auto state = handle.get();
  const Tensors tensors(given);
  const Outside outside;
  const std::unique_lock lock(state->results);
  if (state->views.load() > 0)
    throw py::buffer_error("a view of a sequence's results is alive; the update would overwrite it");
  state->object.update(tensors.get());
}

py::dict model_info(const ModelHandle &handle) {
  const auto state = handle.get(); // the strings are its own
  const aby_model_info info = state->object.info();
  py::dict result;
  result["architecture"] = info.architecture;
  result["attention"] = info.attention;
  result["weight_types"] = info.weight_types;
  result["weight_layouts"] = info.weight_layouts;
  result["layers"] = info.layers;
  result["hidden_size"] = info.hidden_size;
  result["vocab_size"] = info.vocab_size;
  result["heads"] = info.heads;
  result["kv_heads"] = info.kv_heads;
  result["kv_lora_rank"] = info.kv_lora_rank;
  result["rope_dim"] = info.rope_dim;
  result["experts"] = info.experts;
  result["top_k"] = info.top_k;
  result["context_length"] = info.context_length;
  result["mtp_layers"] = info.mtp_layers;
  result["bos_token"] = info.bos_token;
  result["has_tokenizer"] = info.has_tokenizer != 0;
  result["has_chat_template"] = info.has_chat_template != 0;
  result["reasons"] = info.reasons != 0;
  result["activations"] = info.activations;
  result["cache_dtype"] = info.cache_dtype;
  result["parameters"] = info.parameters;
  result["active_parameters"] = info.active_parameters;
  result["file_bytes"] = info.file_bytes;
  result["weight_bytes"] = info.weight_bytes;
  result["mapped_bytes"] = info.mapped_bytes;
  result["cache_bytes_per_token"] = info.cache_bytes_per_token;
  result["cache_tokens"] = info.cache_tokens;
  result["arithmetic"] = info.arithmetic;
  result["packed_cache"] = info.packed_cache != 0;
  result["tools"] = info.tools != 0;
  return result;
}

void profile(const ModelHandle &handle, bool on) { handle.get()->object.profile(on); }

py::list profile_parts(const ModelHandle &handle) {
  py::list parts;
  for (const aby_profile_part &part : handle.get()->object.profile_parts()) {
    py::dict fields;
    fields["name"] = part.name;
    fields["calls"] = part.calls;
    fields["seconds"] = part.seconds;
    fields["flops"] = part.flops;
    fields["bytes"] = part.bytes;
    parts.append(fields);
  }
  return parts;
}

std::vector<std::int32_t> eos_tokens(const ModelHandle &handle) { return handle.get()->object.eos_tokens(); }

std::unique_ptr<ModelHandle> share(const ModelHandle &handle) { return std::make_unique<ModelHandle>(handle.get()); }

std::unique_ptr<DeviceHandle> model_device(const ModelHandle &handle) {
  return std::make_unique<DeviceHandle>(handle.get()->object.device());
}

} // namespace

void bind_model(py::module_ &module) {
  py::class_<ModelOptions>(module, "ModelOptions", "Options of plan_model, open_model and open_tensors.")
      .def(py::init(&make_model_options), py::kw_only(), py::arg("device").none(true), py::arg("backend"),
           py::arg("threads"), py::arg("activations"), py::arg("cache_dtype"), py::arg("cache_tokens"),
           py::arg("absorb_below"), py::arg("mtp"), py::arg("tokenizer"), py::arg("progress"), py::arg("weights"),
           py::arg("packed_cache"), py::arg("packed_cache_check"), py::arg("attention"));
  py::class_<ModelHandle> type(module, "Model", "A model.");
  type.def("update", &update, py::arg("tensors"), "Replaces weights by name.");
  type.def("info", &model_info, "What it is.");
  type.def("eos_tokens", &eos_tokens, "The tokens that end a reply.");
  type.def("share", &share, "A second reference, which close() of this one leaves alone.");
  type.def("device", &model_device, "The device it runs on.");
  type.def("profile", &profile, py::arg("on"), "Starts measuring evaluations, or stops.");
  type.def("profile_parts", &profile_parts, "What was measured.");
  bind_text(type);
  bind_close(type);
  module.def("plan_model", &plan_model, py::arg("path"), py::arg("options"), "Memory that opening would need.");
  module.def("open_model", &open_model, py::arg("path"), py::arg("options"), "Opens a checkpoint.");
  module.def("quantize", &quantize, py::arg("path"), py::arg("out"), py::arg("options"),
             "Writes a checkpoint with rounded weights.");
  module.def("open_tensors", &open_tensors, py::arg("config"), py::arg("tensors"), py::arg("options"),
             "Opens a model from (name, dtype, array) tuples.");
}

} // namespace abyssal::python
