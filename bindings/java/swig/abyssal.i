// The Java binding: SWIG wraps abyssal.hpp. Classes of handles become Native* classes, which the public classes extend;
// structs of options and infos become Raw* classes with a getter or setter for each number, as the C header grows.
//
// A new function of a class in abyssal.hpp is wrapped by itself, with the typemaps of its arguments. One line of
// %javamethodmodifiers makes it public, with its Javadoc, in the class that extends it.
%module(jniclassname="NativeCalls") NativeFunctions

%{
#include "calls.h"
#include "op_calls.h"
using namespace abyssal;
%}

%pragma(java) moduleclassmodifiers="class"
%pragma(java) jniclassclassmodifiers="final class"
%pragma(java) jniclasscode=%{
  static {
    NativeLibrary.load();
  }
%}

// Nothing is public unless a line says so.
%javamethodmodifiers ""

%include "typemaps.i"
%include "structs.i"
%include "handles.i"

%exception {
  try {
    $action
  } catch (...) {
    abyssal::java::throw_current(jenv);
    return $null;
  }
}

%include "classes.i"
%include "ops.i"
