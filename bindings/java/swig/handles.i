// Classes of handles. The C++ object is deleted by a Cleaner, when Java has no use for it and no call runs on it;
// close() lets go of the handle inside at once.
%define HANDLE(CTYPE, NAME)
%rename(NAME) CTYPE;
%typemap(javaclassmodifiers) CTYPE "abstract class"
%typemap(javainterfaces) CTYPE "AutoCloseable"
%typemap(javafinalize) CTYPE ""
%typemap(javadestruct, methodname="unused", methodmodifiers="private") CTYPE ""
%typemap(javabody) CTYPE %{
  private final long swigCPtr;

  NAME(long pointer, boolean owned) {
    swigCPtr = pointer;
    NativeLibrary.CLEANER.register(this, () -> NativeCalls.delete_ ## NAME(pointer));
  }

  static long getCPtr(NAME of) {
    return of == null ? 0 : of.swigCPtr;
  }
%}
// Given back as a pointer, for the public class to be made from.
%typemap(jstype) CTYPE "long"
%typemap(javaout) CTYPE { return $jnicall; }
%javamethodmodifiers CTYPE::closed "/**
   * Whether close() was called.
   *
   * @return true after close()
   */
  public"
%rename(isClosed) CTYPE::closed;
%ignore CTYPE::get;
%enddef
