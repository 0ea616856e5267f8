'use strict';

const { native } = require('./native.cjs');

class AbyssalError extends Error {
  constructor(message, code = 'ABY_ERROR_UNKNOWN', status = -1, options = undefined) {
    super(message, options);
    this.code = code;
    this.status = status;
  }
}
Object.defineProperty(AbyssalError.prototype, 'name', { value: 'AbyssalError', writable: true, configurable: true });
native.set_error_class(AbyssalError);

const invalid = (text) => new AbyssalError(text, 'ABY_ERROR_INVALID_ARGUMENT', -2);

// What an aborted call is rejected with: known as an AbortError too, with the signal's reason as its cause.
function aborted(signal, text = 'the call was aborted') {
  const error = new AbyssalError(text, 'ABY_ERROR_CANCELLED', -9, { cause: signal.reason });
  Object.defineProperty(error, 'name', { value: 'AbortError', writable: true, configurable: true });
  return error;
}

function checkSignal(signal) {
  if (signal === undefined || signal === null) return;
  if (!(signal instanceof AbortSignal)) throw invalid('signal is not an AbortSignal');
  if (signal.aborted) throw aborted(signal);
}

const ASK_AGAIN_MS = 10;

// Awaits a call that cancel() interrupts. A call that has its thread but has not begun misses a cancellation, so it is
// asked again until it ends. Its own result is waited for: afterwards nothing of it runs.
async function abortable(signal, call, cancel) {
  checkSignal(signal);
  if (!signal) return call();
  let timer;
  const abort = () => {
    cancel();
    timer = setInterval(cancel, ASK_AGAIN_MS);
  };
  const promise = call();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await promise;
  } catch (error) {
    throw signal.aborted && error.code === 'ABY_ERROR_CANCELLED' ? aborted(signal, error.message) : error;
  } finally {
    clearInterval(timer);
    signal.removeEventListener('abort', abort);
  }
}

module.exports = { AbyssalError, abortable, aborted, checkSignal, invalid };
