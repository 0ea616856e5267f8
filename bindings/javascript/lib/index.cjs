'use strict';

const { native } = require('./native.cjs');
const { AbyssalError } = require('./errors.cjs');
const { Device, backends } = require('./device.cjs');
const { Constraint } = require('./constraint.cjs');
const { Event, Stream } = require('./stream.cjs');
const { Sequence, evalBatch } = require('./sequence.cjs');
const { Model } = require('./model.cjs');
const ops = require('./ops.cjs');

module.exports = {
  AbyssalError,
  Constraint,
  Device,
  Event,
  Model,
  Sequence,
  Stream,
  backends,
  evalBatch,
  ops,
  version: native.version(),
};
