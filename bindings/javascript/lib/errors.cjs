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
const wrongState = (text) => new AbyssalError(text, 'ABY_ERROR_STATE', -14);

// What an aborted call is rejected with: known as an AbortError too, with the signal's reason as its cause.
function aborted(signal, text = 'the call was aborted') {
  const error = new AbyssalError(text, 'ABY_ERROR_CANCELLED', -9, { cause: signal.reason });
  Object.defineProperty(error, 'name', { value: 'AbortError', writable: true, configurable: true });
  return error;
}

// Those of other realms and libraries too.
const isSignal = (signal) => typeof signal.aborted === 'boolean' && typeof signal.addEventListener === 'function';

function checkSignal(signal) {
  if (signal === undefined || signal === null) return;
  if (!isSignal(signal)) throw invalid('signal is not an AbortSignal');
  if (signal.aborted) throw aborted(signal);
}

// Awaits call(cancel), which a signal interrupts, by way of cancel. The call's own result is waited for: afterwards
// nothing of it runs.
async function abortable(signal, call) {
  checkSignal(signal);
  const cancel = new native.Cancel();
  const promise = call(cancel);
  if (!signal) return promise;
  const abort = () => cancel.cancel();
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await promise;
  } catch (error) {
    throw signal.aborted && error.code === 'ABY_ERROR_CANCELLED' ? aborted(signal, error.message) : error;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

module.exports = { AbyssalError, abortable, aborted, checkSignal, invalid, wrongState };
