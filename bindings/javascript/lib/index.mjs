import abyssal from './index.cjs';

export const { AbyssalError, Constraint, Device, Event, Model, Sequence, Stream, backends, evalBatch, ops, version } =
  abyssal;
export default abyssal;
