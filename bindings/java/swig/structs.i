// C's structs: numbers only. What they point at is given as further arguments of the calls.

// The library's functions and constants are reached through abyssal.hpp.
%rename("$ignore", regexmatch$name="^aby_", %$isfunction) "";
%rename("$ignore", regexmatch$name="^ABY_") "";
%rename("$ignore", regexmatch$name="^ABYSSAL_") "";

// A plain struct is deleted where it was made: it is closed by a try statement.
%typemap(javaclassmodifiers) SWIGTYPE "final class"
%typemap(javainterfaces) SWIGTYPE "AutoCloseable"
%typemap(javafinalize) SWIGTYPE ""
%typemap(javadestruct, methodname="close", methodmodifiers="") SWIGTYPE {
    if (swigCPtr != 0 && swigCMemOwn) {
      swigCMemOwn = false;
      $jnicall;
    }
    swigCPtr = 0;
  }
%typemap(javabody) SWIGTYPE %{
  private transient long swigCPtr;
  private transient boolean swigCMemOwn;

  $javaclassname(long pointer, boolean owned) {
    swigCMemOwn = owned;
    swigCPtr = pointer;
  }

  static long getCPtr($javaclassname of) {
    return of == null ? 0 : of.swigCPtr;
  }
%}
%rename("%(lowercamelcase)s", %$isvariable) "";

%ignore *::struct_size;
%ignore *::reserved;
// Pointers, and what belongs to them.
%ignore *::progress;
%ignore *::warning;
%ignore *::stop_token_count;
%ignore *::mask_count;
%rename("$ignore", regexmatch$decl="^p\\.") "";

%define RAW_STRUCT(CTYPE, SHORT, NAME)
%rename(NAME) CTYPE;
%javamethodmodifiers CTYPE::~SHORT "public synchronized"
%enddef
%define RAW_OPTIONS(CTYPE, NAME, DEFAULTS)
RAW_STRUCT(CTYPE, CTYPE, NAME)
%extend CTYPE {
  CTYPE() { return new CTYPE(abyssal::DEFAULTS()); }
}
%enddef
%define RAW_INFO(CTYPE, NAME)
RAW_STRUCT(CTYPE, CTYPE, NAME)
%nodefaultctor CTYPE;
%enddef

RAW_OPTIONS(aby_device_options, RawDeviceOptions, default_device_options)
RAW_OPTIONS(aby_model_options, RawModelOptions, default_model_options)
RAW_OPTIONS(aby_chat_options, RawChatOptions, default_chat_options)
RAW_OPTIONS(aby_eval_options, RawEvalOptions, default_eval_options)
RAW_OPTIONS(aby_reply_options, RawReplyOptions, default_reply_options)
RAW_OPTIONS(aby_moe_route_args, RawRouteArgs, default_moe_route_args)
RAW_OPTIONS(aby_experts_desc, RawExpertsDesc, default_experts_desc)
RAW_OPTIONS(aby_moe_experts_args, RawExpertsArgs, default_moe_experts_args)
RAW_OPTIONS(aby_mla_desc, RawMlaDesc, default_mla_desc)
RAW_OPTIONS(aby_mla_attend_args, RawMlaAttendArgs, default_mla_attend_args)
RAW_INFO(aby_model_plan, RawModelPlan)
RAW_INFO(aby_model_info, RawModelInfo)
RAW_INFO(aby_device_info, RawDeviceInfo)
RAW_INFO(aby_profile_part, RawProfilePart)

// Made and read in C++ alone.
%ignore aby_tensor;
%ignore aby_array;
%ignore aby_backend_info;
%ignore aby_events;
%ignore aby_device;
%ignore aby_model;
%ignore aby_sequence;
%ignore aby_constraint;
%ignore aby_generation;
%ignore aby_experts;
%ignore aby_mla;

#define ABYSSAL_STATIC // no attributes, which SWIG does not read
%include <abyssal/abyssal.h>
%include <abyssal/ops.h>
