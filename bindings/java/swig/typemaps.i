// How arguments and results cross. Every read() and write_() leaves a pending Java exception when it fails.

%define NATIVE_TYPE(CTYPE, JNITYPE, JAVATYPE)
%typemap(jni) CTYPE #JNITYPE
%typemap(jtype) CTYPE #JAVATYPE
%typemap(jstype) CTYPE #JAVATYPE
%typemap(javain) CTYPE "$javainput"
%typemap(javaout) CTYPE { return $jnicall; }
%enddef

// 64-bit numbers as long, 32-bit ones without a sign too; the public classes check their range.
NATIVE_TYPE(std::uint64_t, jlong, long)
%apply std::uint64_t { uint64_t, std::size_t, size_t }
%typemap(in) std::uint64_t, uint64_t, std::size_t, size_t %{ $1 = static_cast<$1_ltype>($input); %}
%typemap(out) std::uint64_t, uint64_t, std::size_t, size_t %{ $result = static_cast<jlong>($1); %}
NATIVE_TYPE(std::uint32_t, jlong, long)
%apply std::uint32_t { uint32_t }
%typemap(in) std::uint32_t, uint32_t %{ $1 = static_cast<$1_ltype>($input); %}
%typemap(out) std::uint32_t, uint32_t %{ $result = static_cast<jlong>($1); %}
NATIVE_TYPE(std::int32_t, jint, int)
%apply std::int32_t { int32_t, aby_dtype, aby_output_kind, aby_scoring, aby_topk_method, aby_status,
                      aby_weights_kind, aby_attention_kind, aby_constraint_kind, aby_logprobs }
%typemap(in) std::int32_t, int32_t, aby_dtype, aby_output_kind, aby_scoring, aby_topk_method, aby_status,
             aby_weights_kind, aby_attention_kind, aby_constraint_kind, aby_logprobs %{ $1 = $input; %}
%typemap(out) std::int32_t, int32_t, aby_dtype, aby_output_kind, aby_scoring, aby_topk_method, aby_status,
              aby_weights_kind, aby_attention_kind, aby_constraint_kind, aby_logprobs %{ $result = $1; %}

// Text.
NATIVE_TYPE(std::string_view, jstring, String)
%apply std::string_view { std::string, const std::string &, const abyssal::java::optional_text & }
%typemap(in) std::string_view (std::string text)
%{ if (!abyssal::java::read(jenv, $input, text)) return $null;
   $1 = text; %}
%typemap(in) const std::string & (std::string text)
%{ if (!abyssal::java::read(jenv, $input, text)) return $null;
   $1 = &text; %}
%typemap(in) const abyssal::java::optional_text & (abyssal::java::optional_text text)
%{ if (!abyssal::java::read(jenv, $input, text)) return $null;
   $1 = &text; %}
%typemap(out) std::string, std::string_view %{ $result = abyssal::java::write_text(jenv, $1); %}
%typemap(out) const std::string & %{ $result = abyssal::java::write_text(jenv, *$1); %}

// Exact bytes.
NATIVE_TYPE(std::string detokenize, jbyteArray, byte[])
%typemap(out) std::string detokenize %{ $result = abyssal::java::write_bytes(jenv, $1); %}

// Arrays, copied.
%define NATIVE_ARRAY(ELEMENT, JNITYPE, JAVATYPE, NAME)
NATIVE_TYPE(std::vector<ELEMENT>, JNITYPE, JAVATYPE)
%apply std::vector<ELEMENT> { const std::vector<ELEMENT> & }
%typemap(in) const std::vector<ELEMENT> & (std::vector<ELEMENT> values)
%{ if (!abyssal::java::read(jenv, $input, values)) return $null;
   $1 = &values; %}
%enddef
NATIVE_ARRAY(std::int32_t, jintArray, int[], ints)
NATIVE_ARRAY(std::int64_t, jlongArray, long[], longs)
NATIVE_ARRAY(float, jfloatArray, float[], floats)
NATIVE_ARRAY(std::uint8_t, jbooleanArray, boolean[], flags)
%typemap(out) std::vector<std::int32_t> %{ $result = abyssal::java::write_ints(jenv, $1.data(), $1.size()); %}

// Direct buffers, where they are.
NATIVE_TYPE(const abyssal::java::buffer &, jobject, java.nio.Buffer)
%typemap(in) const abyssal::java::buffer & (abyssal::java::buffer data)
%{ if (!abyssal::java::read(jenv, $input, data)) return $null;
   $1 = &data; %}

// What hand-written calls take as it is.
%typemap(in, numinputs=0) JNIEnv *env "$1 = jenv;"
NATIVE_TYPE(jobject watcher, jobject, OpenProgress)
