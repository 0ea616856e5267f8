// Leaving and entering the interpreter.
#pragma once

#include <pybind11/pybind11.h>

#include <unistd.h>

namespace abyssal::python {

// Calls what enters the interpreter. A thread that is still at work when the interpreter ends may never enter it again:
// Python before 3.14 ends it there with pthread_exit, which unwinds C++ frames that cannot be unwound, and the process
// is aborted. Here it waits, as from 3.14 on, until the process ends.
template <typename Enter> void enter_or_wait(Enter enter) {
  try {
    enter();
  } catch (...) {
    for (;;)
      pause(); // not even left to unwind further: the frames below hold objects of an interpreter that is gone
  }
}

// The calling thread is outside the interpreter in this scope, without the GIL where there is one.
class Outside {
public:
  Outside() : state_(PyEval_SaveThread()) {}
  ~Outside() { enter(); }
  Outside(const Outside &) = delete;
  Outside &operator=(const Outside &) = delete;

private:
  friend class Inside;
  void enter() {
    enter_or_wait([this] { PyEval_RestoreThread(state_); });
  }

  PyThreadState *state_;
};

// And inside it again, in a function that the library calls on the same thread. By the state that the thread went out
// with: PyGILState_Ensure would make a new one, of an interpreter that may be gone.
class Inside {
public:
  explicit Inside(Outside &outside) : outside_(outside) { outside_.enter(); }
  ~Inside() { outside_.state_ = PyEval_SaveThread(); }
  Inside(const Inside &) = delete;
  Inside &operator=(const Inside &) = delete;

private:
  Outside &outside_;
};

} // namespace abyssal::python
