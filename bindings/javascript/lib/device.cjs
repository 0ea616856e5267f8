'use strict';

const { native } = require('./native.cjs');
const { invalid } = require('./errors.cjs');

class Device {
  #native = new native.Device();

  constructor(options = {}) {
    if (options instanceof native.Device) this.#native = options;
    else this.#native.open(options);
  }

  // null: none was given.
  static native(device) {
    if (device === undefined || device === null) return null;
    if (!(device instanceof Device)) throw invalid('device is not a Device');
    return device.#native;
  }

  get info() {
    return this.#native.info();
  }

  get closed() {
    return this.#native.closed();
  }

  close() {
    this.#native.close();
  }
}

const nativeDevice = Device.native;
delete Device.native;

const backends = () => native.list_backends();

module.exports = { Device, backends, nativeDevice };
