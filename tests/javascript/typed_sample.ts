// Every part of the declarations, as a strict program uses it. It is compiled, not run.
import abyssal, { AbyssalError, Constraint, Device, Model, Sequence, backends, evalBatch, ops, version } from 'abyssal';
import type {
  AttentionKind,
  DeviceInfo,
  Dtype,
  Event,
  FinishReason,
  ModelInfo,
  ModelPlan,
  OnProgress,
  ProfilePart,
  Reply,
  Result,
  Stream,
  WeightsKind,
} from 'abyssal';

export async function main(path: string, signal: AbortSignal): Promise<void> {
  const text: string = version + backends()[0]!.name + abyssal.version;
  const device = new Device({ backend: 'cpu', threads: 1, index: 0 });
  const about: DeviceInfo = device.info;
  const plan: ModelPlan = await Model.plan(path, { device, mtp: true });
  const activations: Dtype = 'bf16';
  const onProgress: OnProgress = (stage, done, total) => console.log(stage === 'weights', done / total);
  await Model.quantize(path, new URL('file:///out'), { weights: 'int4', threads: 1, onProgress, signal });
  const attention: AttentionKind = 'absorbed';
  const weights: WeightsKind = 'int8';
  const packedCache = new URL('file:///cache');
  const onWarning = (said: string): void => console.log(said);
  const kept = { weights, attention, packedCache, packedCacheCheck: true, onWarning };
  const model = await Model.open(path, { device, activations, cacheTokens: 64, onProgress, signal, ...kept });
  await model.profile();
  const spent: number = model.profileParts.reduce((all: number, part: ProfilePart) => all + part.seconds, 0);
  const info: ModelInfo = model.info;
  const tokens: Int32Array = await model.tokenize(text, { addBos: true });
  const bytes: Uint8Array = await model.detokenize([...tokens], { skipSpecial: true });
  const prompt: string = await model.renderChat([{ role: 'user', content: await model.decode(tokens) }]);
  for await (const event of model.chat([{ role: 'user', content: prompt }], { seed: 1n, signal })) {
    const seen: Event = event;
    if (seen.kind === 'end' && seen.finishReason === 'stop') break;
  }
  const reply: Reply = await model.generate(tokens, { temperature: 0, stopTokens: [1], regex: '[a-c]+' }).reply();
  const constraint: Constraint = await model.constraint({ jsonSchema: { type: 'string' } });
  const bound: Reply = await model.generate(text, { constraint, logprobs: true, maxTokens: 0, seed: reply.seed }).reply();
  const finished: FinishReason = bound.finishReason === 'context' ? 'length' : bound.finishReason;
  const drawn: number | bigint | null = model.generate(text).seed;
  const masked: Stream = model.generate(text, { mask: new Uint8Array(info.vocabSize).fill(1), writeAhead: false });
  await masked.setMask(null);
  await masked.close();
  const sequence: Sequence = model.sequence();
  await sequence.eval(tokens, { routes: true, hidden: true, logits: 2 });
  const routes: Result<Int32Array> = sequence.output('route_index', 0);
  const logits: Float32Array = sequence.output('logits').data;
  await evalBatch([sequence, sequence.fork()], [[1], [2]], { signal });
  const { index } = await ops.moeRoute({ data: logits, shape: [1, logits.length] }, { topK: 2, scoring: 'sigmoid' });
  const matrix = { data: new Uint16Array(4), shape: [2, 2], dtype: 'bf16' as const };
  const experts = await ops.Experts.create({ gate: [matrix], up: [matrix], down: [matrix] }, { compute: 'f32' });
  await experts.run(
    { data: logits, shape: [1, 2] },
    { data: index.data, shape: [1, 1] },
    { data: logits, shape: [1, 1] },
  );
  await model.update(new Map([['model.norm.weight', matrix]]));
  try {
    await Model.fromTensors({}, { x: matrix });
  } catch (error) {
    if (error instanceof AbyssalError) console.log(error.code, error.status + plan.layers + info.layers, about, bytes);
  }
  console.log(finished, drawn, bound.logprobs[0]?.toFixed(2), constraint.closed);
  console.log(routes.shape, reply.usage.promptTokens, spent, info.packedCache && info.arithmetic === 'i16');

  // What must not compile.
  // @ts-expect-error a misspelt option
  await Model.open(path, { thread: 1 });
  // @ts-expect-error no such type
  await Model.open(path, { activations: 'f9' });
  // @ts-expect-error written weights are rounded
  await Model.quantize(path, path, { weights: 'stored' });
  // @ts-expect-error a constraint is made by a model
  model.generate('x', { constraint: '[a-c]+' });
  // @ts-expect-error models are not made with new
  new Model();
  // @ts-expect-error events are read only when a kind is known
  model.generate('x').text;
  // @ts-expect-error topK is needed
  await ops.moeRoute({ data: logits, shape: [1, 2] }, {});
}
