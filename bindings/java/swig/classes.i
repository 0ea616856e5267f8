// abyssal.hpp. What is left out here is offered in another shape below, or needs none in Java.
%ignore abyssal::error;
%ignore abyssal::check;
%ignore abyssal::detail;
%ignore abyssal::backends;
%ignore abyssal::text_of;
%ignore abyssal::eval_batch;
%ignore abyssal::moe_route;
%rename("$ignore", regexmatch$name="^default_", %$isfunction) "";

%ignore abyssal::device::device(const aby_device_options & = default_device_options());
%ignore abyssal::device::device(aby_device *);
%ignore abyssal::device::info;
%ignore abyssal::model::model(const std::string &, const aby_model_options & = default_model_options());
%ignore abyssal::model::model(const std::string &, const std::vector<const aby_tensor *> &,
                              const aby_model_options & = default_model_options());
%ignore abyssal::model::plan;
%ignore abyssal::model::update;
%ignore abyssal::model::info;
%ignore abyssal::model::render_chat;
%ignore abyssal::model::quantize;
%ignore abyssal::model::profile_parts;
%ignore abyssal::sequence::eval;
%ignore abyssal::sequence::output;
%ignore abyssal::sequence::logits;
%ignore abyssal::sequence::hidden;
%ignore abyssal::generation::generation(const sequence &, const std::vector<std::int32_t> &,
                                        const aby_reply_options & = default_reply_options());
%ignore abyssal::generation::step;
%ignore abyssal::generation::set_mask(const std::uint8_t *, std::size_t);
%ignore abyssal::mask_words;
%ignore abyssal::experts::experts(const device &, const aby_experts_desc &);
%ignore abyssal::experts::run;
%ignore abyssal::mla::mla(const device &, const aby_mla_desc &);
%ignore abyssal::mla::attend;

HANDLE(abyssal::device, NativeDevice)
HANDLE(abyssal::model, NativeModel)
HANDLE(abyssal::sequence, NativeSequence)
HANDLE(abyssal::constraint, NativeConstraint)
HANDLE(abyssal::generation, NativeGeneration)
HANDLE(abyssal::experts, NativeExperts)
HANDLE(abyssal::mla, NativeMla)

// Names that the public classes use for calls around these.
%rename(devicePointer) abyssal::model::device;
%rename(forkPointer) abyssal::sequence::fork;
%rename(truncateNow) abyssal::sequence::truncate;
%rename(tokenizeFlags) abyssal::model::tokenize;
%rename(detokenizeFlags) abyssal::model::detokenize;
%rename(eosTokens) abyssal::model::eos_tokens;
%rename(setMask) abyssal::generation::set_mask;

%javamethodmodifiers abyssal::version "/**
   * Version of the library.
   *
   * @return such as '0.1.0'
   */
  public";
%javamethodmodifiers abyssal::device::close "/**
   * Lets go of the device. Models that run on it keep it. May be called more than once, from any thread.
   */
  public";
%javamethodmodifiers abyssal::model::close "/**
   * Lets go of the model. Running calls end first, and sequences that are alive keep its memory. May be called
   * more than once, from any thread.
   */
  public";
%javamethodmodifiers abyssal::model::eos_tokens "/**
   * The tokens that end a reply.
   *
   * @return ids, a new array
   */
  public";
%javamethodmodifiers abyssal::model::profile "/**
   * Starts measuring the evaluations of this model, from nothing, or stops; one that is running goes on as it began.
   * Results stay the same bits. See profileParts().
   *
   * @param on true starts, false stops
   */
  public";
%javamethodmodifiers abyssal::sequence::close "/**
   * Gives the cache back. A running call ends first. May be called more than once, from any thread.
   */
  public";
%javamethodmodifiers abyssal::sequence::length "/**
   * Number of tokens, with the one that a reply may have left to be evaluated.
   *
   * @return tokens; 0 after the model's weights were replaced
   */
  public";
%javamethodmodifiers abyssal::sequence::tokens "/**
   * The tokens, with the one that a reply may have left to be evaluated.
   *
   * @return ids, a new array of length()
   */
  public";
%javamethodmodifiers abyssal::constraint::close "/**
   * Lets go of the constraint. Replies that use it keep it. May be called more than once, from any thread.
   */
  public";
%javamethodmodifiers abyssal::generation::close "/**
   * Ends the native reply.
   */
  public";
%javamethodmodifiers abyssal::experts::close "/**
   * Lets go of the prepared weights. Running calls end first. May be called more than once, from any thread.
   */
  public";
%javamethodmodifiers abyssal::mla::close "/**
   * Lets go of the prepared weights. Running calls end first. May be called more than once, from any thread.
   */
  public";

%include <abyssal/abyssal.hpp>

%extend abyssal::device {
  device(const aby_device_options &options, const abyssal::java::optional_text &backend) {
    return new abyssal::device(abyssal::java::place(options, backend));
  }
}

%extend abyssal::model {
  model(JNIEnv *env, const std::string &path, const abyssal::java::model_setup &setup, jobject watcher) {
    std::unique_ptr<abyssal::model> made;
    setup.run(env, watcher, [&](const aby_model_options &with) {
      made = std::make_unique<abyssal::model>(path, with);
    });
    return made.release();
  }
  model(JNIEnv *env, const std::string &config, const abyssal::java::tensor_list &tensors,
        const abyssal::java::model_setup &setup, jobject watcher) {
    std::unique_ptr<abyssal::model> made;
    setup.run(env, watcher, [&](const aby_model_options &with) {
      made = std::make_unique<abyssal::model>(config, tensors.raw(), with);
    });
    return made.release();
  }
  static void quantizeNow(JNIEnv *env, const std::string &path, const std::string &out,
                          const abyssal::java::model_setup &setup, jobject watcher) {
    setup.run(env, watcher, [&](const aby_model_options &with) { abyssal::model::quantize(path, out, with); });
  }
  static aby_model_plan planNow(const std::string &path, const abyssal::java::model_setup &setup) {
    return abyssal::model::plan(path, setup.raw());
  }
  abyssal::model copyPointer() const { return *$self; }
  void updateNow(const abyssal::java::tensor_list &tensors) { $self->update(tensors.raw()); }
  std::string renderChatNow(std::string_view messages, const aby_chat_options &numbers,
                            const abyssal::java::optional_text &tools, const abyssal::java::optional_text &variables,
                            const abyssal::java::optional_text &chat_template) const {
    aby_chat_options options = numbers;
    options.tools_json = tools.c_str();
    options.variables_json = variables.c_str();
    options.chat_template = chat_template.c_str();
    return $self->render_chat(messages, options);
  }
}

%extend abyssal::sequence {
  void evalNow(const std::vector<std::int32_t> &tokens, const aby_eval_options &options,
               const abyssal::java::cancel_flag &flag) {
    $self->eval(tokens, flag.in(options));
  }
  void outputShape(JNIEnv *env, aby_output_kind kind, std::int32_t layer, jlongArray shape) {
    const auto held = $self->get();
    abyssal::java::write_shape(env, $self->output(kind, layer), shape);
  }
  // A float[] or an int[], and its shape.
  jobject outputArray(JNIEnv *env, aby_output_kind kind, std::int32_t layer, jlongArray shape) {
    const auto held = $self->get(); // the array is its
    const aby_array array = $self->output(kind, layer);
    abyssal::java::write_shape(env, array, shape);
    const std::size_t count = abyssal::java::elements(array);
    if (array.dtype == ABY_DTYPE_I32)
      return abyssal::java::write_ints(env, static_cast<const std::int32_t *>(array.data), count);
    return abyssal::java::write_floats(env, static_cast<const float *>(array.data), count);
  }
  // Copies the result to the start of a direct buffer with room for so many bytes. Gives the number of its elements.
  std::uint64_t outputInto(aby_output_kind kind, std::int32_t layer, const abyssal::java::buffer &to, std::uint64_t room) {
    const auto held = $self->get();
    const aby_array array = $self->output(kind, layer);
    const std::size_t count = abyssal::java::elements(array);
    if (count * sizeof(float) > room)
      throw abyssal::error(ABY_ERROR_INVALID_ARGUMENT,
                           "the buffer has room for " + std::to_string(room / sizeof(float)) +
                               " elements; the result has " + std::to_string(count));
    if (count != 0)
      std::memcpy(to.data, array.data, count * sizeof(float));
    return count;
  }
}

%extend abyssal::generation {
  generation(const abyssal::sequence &on, const std::vector<std::int32_t> &prompt,
             const aby_reply_options &numbers, const std::vector<std::int32_t> &stop_tokens,
             const std::vector<std::uint8_t> &mask, const abyssal::constraint *bound) {
    const std::shared_ptr<aby_constraint> constraint = bound != nullptr ? bound->get() : nullptr;
    aby_reply_options options = numbers;
    const std::vector<std::uint32_t> words = abyssal::mask_words(mask.data(), mask.size());
    options.mask = words.empty() ? nullptr : words.data();
    options.mask_count = mask.size();
    options.constraint = constraint.get();
    options.stop_tokens = stop_tokens.data();
    options.stop_token_count = stop_tokens.size();
    return new abyssal::generation(on, prompt, options);
  }
  jlongArray stepNow(JNIEnv *env, std::uint64_t microseconds, jobjectArray text) {
    return abyssal::java::step(env, *$self, microseconds, text);
  }
}

// Read only by the classes that copy them.
RAW_STRUCT(abyssal::java::device_facts, device_facts, RawDeviceFacts)
RAW_STRUCT(abyssal::java::model_facts, model_facts, RawModelFacts)
RAW_STRUCT(abyssal::java::profile, profile, RawProfile)
RAW_STRUCT(abyssal::java::model_setup, model_setup, RawModelSetup)
RAW_STRUCT(abyssal::java::tensor_list, tensor_list, RawTensors)
RAW_STRUCT(abyssal::java::cancel_flag, cancel_flag, RawCancelFlag)
RAW_STRUCT(abyssal::java::batch, batch, RawBatch)
namespace abyssal { namespace java {
struct device_facts {
  explicit device_facts(const abyssal::device &of);
  aby_device_info numbers;
  std::string backend, name, isa;
};
struct model_facts {
  explicit model_facts(const abyssal::model &of);
  aby_model_info numbers;
  std::string architecture, attention, weight_types, weight_layouts;
};
class profile {
public:
  explicit profile(const abyssal::model &of);
  std::size_t size() const;
  const aby_profile_part &part(std::size_t index) const;
  std::string name(std::size_t index) const;
};
class model_setup {
public:
  model_setup(const aby_model_options &numbers, const abyssal::device *on,
              const abyssal::java::optional_text &backend, const abyssal::java::optional_text &tokenizer,
              const abyssal::java::optional_text &packed_cache);
};
class tensor_list {
public:
  void add(const std::string &name, aby_dtype dtype, const abyssal::java::buffer &data,
           const std::vector<std::int64_t> &shape);
};
class cancel_flag {
public:
  cancel_flag();
  void set() noexcept;
};
class batch {
public:
  void add(const abyssal::sequence &one, const std::vector<std::int32_t> &tokens);
  void eval(const aby_eval_options &options, const abyssal::java::cancel_flag &flag) const;
};
} }

%inline %{
static std::size_t backendCount() { return abyssal::backends().size(); }
static std::string backendName(std::size_t index) { return abyssal::backends().at(index).name; }
static std::uint32_t backendDevices(std::size_t index) { return abyssal::backends().at(index).device_count; }
static std::string statusName(aby_status status) { return aby_status_name(status); }
%}
