// The package itself: what it holds, its two module systems, its declarations, its README.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import * as esm from 'abyssal';
import { ROOT, checkpoint, eventsOf } from './support.mjs';

const require = createRequire(import.meta.url);
const commonjs = require('abyssal');
const FOLDER = path.dirname(require.resolve('abyssal/package.json'));
const TYPESCRIPT = path.join(ROOT, 'bindings', 'javascript', 'node_modules', 'typescript');
const ts = require(TYPESCRIPT);

test('both module systems have the same names, and one version', () => {
  const { default: whole, ...named } = esm;
  assert.equal(whole, commonjs);
  assert.deepEqual(Object.keys(named).sort(), Object.keys(commonjs).sort());
  for (const [name, value] of Object.entries(named)) assert.equal(value, commonjs[name]);
  const project = /project\(abyssal VERSION ([\d.]+)/.exec(
    fs.readFileSync(path.join(ROOT, 'CMakeLists.txt'), 'utf8'),
  )[1];
  assert.equal(esm.version, project);
  assert.equal(require('abyssal/package.json').version, project);
});

test('the package is lean and needs nothing', () => {
  const { dependencies, devDependencies } = require('abyssal/package.json');
  assert.deepEqual([dependencies, devDependencies], [undefined, undefined]);
  const prebuilt = path.join(FOLDER, 'prebuilds', 'linux-x64');
  for (const file of fs.readdirSync(prebuilt)) {
    const sections = spawnSync('readelf', ['-SW', path.join(prebuilt, file)], { encoding: 'utf8' }).stdout;
    assert.doesNotMatch(sections, /\.debug_info|\.symtab/, file);
    const dynamic = spawnSync('readelf', ['-d', path.join(prebuilt, file)], { encoding: 'utf8' }).stdout;
    const runpath = /R.*PATH.*\[(.*)\]/.exec(dynamic)?.[1] ?? '$ORIGIN';
    assert.equal(runpath, '$ORIGIN', file);
  }
  const licences = fs.readFileSync(path.join(FOLDER, 'LICENSES.txt'), 'utf8');
  for (const part of ['oneDNN', 'JSON for Modern', 'xxHash', 'tokenizers', 'minijinja', 'node-addon-api', 'node-api-headers'])
    assert.match(licences, new RegExp(part));
  assert.match(fs.readFileSync(path.join(FOLDER, 'LICENSE'), 'utf8'), /Apache License/);
});

test('npm runs nothing of it when it is installed', () => {
  const { scripts } = require('abyssal/package.json');
  assert.deepEqual(scripts, { build: 'node build.cjs' }); // which npm never runs by itself
  assert.ok(!fs.existsSync(path.join(FOLDER, 'binding.gyp')), 'npm would run node-gyp for it');
  assert.ok(fs.existsSync(path.join(FOLDER, 'prebuilds', 'linux-x64', 'abyssal.node')));
  assert.ok(!fs.existsSync(path.join(FOLDER, 'build')));
  const lock = JSON.parse(fs.readFileSync(path.join(FOLDER, '..', '.package-lock.json'), 'utf8'));
  assert.equal(lock.packages['node_modules/abyssal'].hasInstallScript, undefined);
});

test('without a library the build says what is missing, and without an addon the package says how to build it', () => {
  const copy = fs.mkdtempSync(path.join(os.tmpdir(), 'abyssal-'));
  fs.cpSync(FOLDER, copy, { recursive: true, filter: (file) => !file.includes('prebuilds') });
  const environment = { ...process.env, ABYSSAL_PREBUILT: path.join(copy, 'nothing') };
  const build = (env) => spawnSync(process.execPath, ['build.cjs'], { cwd: copy, encoding: 'utf8', env });
  const result = build(environment);
  assert.equal(result.status, 1);
  assert.match(result.stderr, /libabyssal\.so was not found/);
  const without = build({ ...environment, PATH: path.join(copy, 'nothing') });
  assert.match(without.stderr, /cmake is not installed[^]*C\+\+20/);
  const use = spawnSync(process.execPath, ['-e', 'require(".")'], { cwd: path.join(copy, 'lib'), encoding: 'utf8' });
  const loaded = spawnSync(
    process.execPath,
    ['-e', `require(${JSON.stringify(path.join(copy, 'lib', 'index.cjs'))})`],
    { encoding: 'utf8' },
  );
  assert.notEqual(use.status, 0);
  assert.match(loaded.stderr, /the abyssal addon cannot be loaded[^]*npm explore abyssal -- npm run build/);
  fs.rmSync(copy, { recursive: true });
});

const OPTIONS = {
  strict: true,
  noEmit: true,
  exactOptionalPropertyTypes: true,
  target: ts.ScriptTarget.ES2022,
  lib: ['lib.es2022.d.ts', 'lib.esnext.disposable.d.ts'],
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  esModuleInterop: true,
  types: ['node'],
  typeRoots: [path.join(TYPESCRIPT, '..', '@types')],
};

function compile(files, options = {}) {
  const program = ts.createProgram(files, { ...OPTIONS, ...options });
  const found = ts.getPreEmitDiagnostics(program).map(({ file, messageText, start }) => {
    const line = file ? file.getLineAndCharacterOfPosition(start).line + 1 : 0;
    return `${file?.fileName}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
  return { program, found };
}

test('a strict TypeScript program compiles, as ESM and as CommonJS', () => {
  const here = path.dirname(new URL(import.meta.url).pathname);
  const sample = fs.readFileSync(path.join(here, 'typed_sample.ts'), 'utf8');
  for (const name of ['sample.mts', 'sample.cts']) {
    const text =
      name === 'sample.cts'
        ? sample.replace('import abyssal, {', "import abyssal = require('abyssal');\nimport {")
        : sample;
    fs.writeFileSync(path.join(here, name), text);
    assert.deepEqual(compile([path.join(here, name)]).found, []);
  }
});

const WITHOUT_NODE = `
import { Model, Stream, type Signal, type TensorInput } from 'abyssal';
export async function main(signal: Signal): Promise<number> {
  const tensor: TensorInput = { data: new Float32Array(4), shape: [4] };
  const model = await Model.open('path', { signal, onProgress: (stage, done, total) => void [stage, done / total] });
  const stream: Stream = model.chat([{ role: 'user', content: null }], { signal, seed: 3n });
  for await (const event of stream) if (event.kind === 'end') break;
  await model.update({ x: tensor });
  return (await model.generate('x').reply()).tokens.length;
}
`;
const WITH_DOM = `
import { Model } from 'abyssal';
export const open = (signal: AbortSignal): Promise<Model> => Model.open(new URL('file:///path'), { signal });
`;

test('the declarations need neither @types/node nor the library "dom", and fit both', () => {
  const here = path.dirname(new URL(import.meta.url).pathname);
  const bare = { types: [], typeRoots: [], skipLibCheck: false };
  const cases = [
    ['without_node.mts', WITHOUT_NODE, { ...bare, lib: ['lib.es2022.d.ts'] }],
    ['without_node.cts', WITHOUT_NODE, { ...bare, lib: ['lib.es2022.d.ts'] }],
    ['with_dom.mts', WITH_DOM, { ...bare, lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'] }],
    ['with_node.mts', WITH_DOM, {}],
  ];
  for (const [name, text, options] of cases) {
    fs.writeFileSync(path.join(here, name), text);
    assert.deepEqual(compile([path.join(here, name)], options).found, [], name);
  }
});

// What a declared class has: "name" of methods and accessors, "static name".
function declaredMembers(checker, symbol) {
  const type = checker.getDeclaredTypeOfSymbol(symbol);
  const own = type.getProperties().map((member) => member.name);
  const statics = checker
    .getTypeOfSymbol(symbol)
    .getProperties()
    .map((member) => `static ${member.name}`);
  return [...own, ...statics.filter((name) => name !== 'static prototype')];
}

const ofErrors = new Set(['name', 'message', 'stack', 'cause', 'length', 'constructor']);

function runtimeMembers(type) {
  const names = (object) =>
    Reflect.ownKeys(object).map((key) => (typeof key === 'symbol' ? `__@${key.description.split('.')[1]}` : key));
  return [...names(type.prototype), ...names(type).map((name) => `static ${name}`)];
}

const plain = (names) =>
  names
    .map((name) => name.replace(/^__@(\w+?)(@\d+)?$/, '@$1'))
    .filter(
      (name) =>
        !ofErrors.has(name) &&
        !/^static (length|name|prototype|captureStackTrace|prepareStackTrace|stackTraceLimit|isError)$/.test(name),
    )
    .sort();

test('the declarations name what is there, and nothing else', async () => {
  const { program, found } = compile([path.join(FOLDER, 'lib', 'index.d.ts')]);
  assert.deepEqual(found, []);
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(path.join(FOLDER, 'lib', 'index.d.ts'));
  const values = (symbols) =>
    symbols.filter(
      (symbol) =>
        (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol).flags & ts.SymbolFlags.Value,
    );
  const compare = (symbols, object) => {
    assert.deepEqual(symbols.map(({ name }) => name).sort(), Object.keys(object).sort());
    for (const symbol of symbols) {
      const value = object[symbol.name];
      if (symbol.flags & ts.SymbolFlags.Class) {
        // Fields of instances are compared below.
        const fields = {
          AbyssalError: () => ['code', 'status'],
          Event: () => Object.keys(new value('', new Float64Array(10), 0)),
        };
        assert.deepEqual(
          plain(declaredMembers(checker, symbol)),
          plain([...runtimeMembers(value), ...(fields[symbol.name]?.() ?? [])]),
          symbol.name,
        );
      } else if (symbol.flags & ts.SymbolFlags.Module) {
        compare(values(checker.getExportsOfModule(symbol)), value);
      } else {
        assert.equal(typeof value, symbol.flags & ts.SymbolFlags.Function ? 'function' : 'string', symbol.name);
      }
    }
  };
  compare(values(checker.getExportsOfModule(checker.getSymbolAtLocation(file))), commonjs);

  // The objects that calls give: their properties, and the types of these.
  const model = await esm.Model.open(checkpoint('tiny-v3'), { cacheTokens: 64 });
  const samples = {
    ModelInfo: model.info,
    ModelPlan: await esm.Model.plan(checkpoint('tiny-v3')),
    DeviceInfo: model.device.info,
    BackendInfo: esm.backends()[0],
    ProfilePart: model.profileParts[0],
    Reply: await model.generate([5], { maxTokens: 1 }).reply(),
    Usage: (await model.generate([5], { maxTokens: 1 }).reply()).usage,
    Event: (await eventsOf(model.generate([5], { maxTokens: 1, logprobs: true }))).find(({ kind }) => kind === 'token'),
  };
  const declared = Object.fromEntries(
    checker.getExportsOfModule(checker.getSymbolAtLocation(file)).map((symbol) => [symbol.name, symbol]),
  );
  for (const [name, sample] of Object.entries(samples)) {
    const symbol =
      declared[name].flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(declared[name]) : declared[name];
    const properties = checker.getDeclaredTypeOfSymbol(symbol).getProperties();
    assert.deepEqual(properties.map((property) => property.name).sort(), Object.keys(sample).sort(), name);
    for (const property of properties) {
      const type = checker.typeToString(
        checker.getBaseTypeOfLiteralType(checker.getNonNullableType(checker.getTypeOfSymbol(property))),
      );
      const value = sample[property.name];
      const is = Array.isArray(value) ? 'number[]' : typeof value;
      if (value !== null && is !== 'object')
        assert.ok((type.includes('"') ? 'string' : type).split(' | ').includes(is), `${name}.${property.name}: ${type}`);
    }
  }
});

test('every declared option is taken, and no other', async () => {
  const { program } = compile([path.join(FOLDER, 'lib', 'index.d.ts')]);
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(path.join(FOLDER, 'lib', 'index.d.ts'));
  const exported = Object.fromEntries(
    checker.getExportsOfModule(checker.getSymbolAtLocation(file)).map((symbol) => [symbol.name, symbol]),
  );
  const model = await esm.Model.open(checkpoint('tiny-v3'), { cacheTokens: 64 });
  const calls = {
    OpenOptions: (options) => esm.Model.open('/no/such/model', options),
    PlanOptions: (options) => esm.Model.plan('/no/such/model', options),
    QuantizeOptions: (options) => esm.Model.quantize('/no/such/model', '/no/such/folder', options),
    GenerateOptions: (options) => model.generate([5], options),
    ChatOptions: (options) => model.chat('[]', options),
    EvalOptions: (options) => model.sequence().eval([5], options),
    RenderOptions: (options) => model.renderChat('[]', options),
  };
  const taken = async (call, name) => {
    const error = await (async () => call({ [name]: undefined, unheardOf: 1 }))().catch((failed) => failed);
    assert.match(error.message, /unknown option unheardOf/);
    const fine = await (async () => call({ [name]: undefined }))().catch((failed) => failed);
    assert.doesNotMatch(fine?.message ?? '', /unknown option/, name);
  };
  for (const [name, call] of Object.entries(calls)) {
    const properties = checker.getDeclaredTypeOfSymbol(exported[name]).getProperties();
    assert.ok(properties.length >= 4);
    for (const property of properties) await taken(call, property.name);
  }
});

// The fields of a C struct as JavaScript spells them; functions are options of their own, and their contexts C's alone.
function headerFields(struct) {
  const header = fs.readFileSync(path.join(ROOT, 'include', 'abyssal', 'abyssal.h'), 'utf8');
  const [, body] = new RegExp(`typedef struct ${struct} \\{([^]*?)\\} ${struct};`).exec(header);
  const inC = [...body.replaceAll(/\/\*[^]*?\*\//g, '').matchAll(/(\w+);/g)].map(([, name]) => name);
  const ours = { progress: 'onProgress', warning: 'onWarning', cancel: 'signal' };
  return inC
    .filter((name) => !['struct_size', 'reserved', 'progress_context', 'warning_context'].includes(name))
    .map((name) => ours[name] ?? name.replaceAll(/_(\w)/g, (_, letter) => letter.toUpperCase()));
}

test('no field of the C API is missing', async () => {
  const { program } = compile([path.join(FOLDER, 'lib', 'index.d.ts')]);
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(path.join(FOLDER, 'lib', 'index.d.ts'));
  const exported = checker.getExportsOfModule(checker.getSymbolAtLocation(file));
  const OpenOptions = checker.getDeclaredTypeOfSymbol(exported.find(({ name }) => name === 'OpenOptions'));
  const declared = OpenOptions.getProperties().map(({ name }) => name);
  assert.deepEqual(declared.sort(), headerFields('aby_model_options').sort());
  const model = await esm.Model.open(checkpoint('tiny-v3'), { cacheTokens: 64 });
  // Those of a reply: arrays have their counts.
  const GenerateOptions = checker.getDeclaredTypeOfSymbol(exported.find(({ name }) => name === 'GenerateOptions'));
  const ofReply = new Set(GenerateOptions.getProperties().map(({ name }) => name));
  const notThere = headerFields('aby_reply_options').filter((name) => !ofReply.has(name));
  assert.deepEqual(notThere, ['stopTokenCount', 'maskCount']);
  const results = {
    aby_model_info: model.info,
    aby_model_plan: await esm.Model.plan(checkpoint('tiny-v3')),
    aby_device_info: model.device.info,
    aby_backend_info: esm.backends()[0],
    aby_profile_part: model.profileParts[0],
  };
  for (const [struct, result] of Object.entries(results))
    assert.deepEqual(Object.keys(result).sort(), headerFields(struct).sort(), struct);
});

test("the READMEs' snippets run", () => {
  for (const readme of [path.join(FOLDER, 'README.md'), path.join(ROOT, 'README.md')]) {
    const snippets = [...fs.readFileSync(readme, 'utf8').matchAll(/```js\n([^]*?)```/g)];
    assert.ok(snippets.length > 0, readme);
    for (const [, code] of snippets) {
      const here = code
        .replace(/'path\/to\/checkpoint'/, () => JSON.stringify(checkpoint('tiny-v3')))
        .replace(/'(examples\/models\/[^']*)'/, (_, folder) => JSON.stringify(path.join(ROOT, folder)));
      const result = spawnSync(process.execPath, ['--input-type=module', '-e', here], {
        encoding: 'utf8',
        timeout: 60000,
      });
      assert.equal(result.status, 0, result.stderr);
      const vocabulary = code.includes('examples/models/') ? 768 : 1280;
      assert.ok(result.stdout.endsWith(`${vocabulary}\n`), result.stdout);
      if (vocabulary === 768) assert.match(result.stdout, /The answer is 294\./);
    }
  }
});

test('the examples run', () => {
  const here = path.dirname(new URL(import.meta.url).pathname);
  for (const name of fs.readdirSync(path.join(ROOT, 'examples', 'node'))) {
    fs.copyFileSync(path.join(ROOT, 'examples', 'node', name), path.join(here, name)); // where the package is installed
    const options = { encoding: 'utf8', timeout: 60000, input: 'Hello\nAnd?\n' };
    const result = spawnSync(process.execPath, [path.join(here, name), checkpoint('tiny-v3')], options);
    assert.equal(result.status, 0, result.stderr);
    assert.ok(result.stdout.trim().length > 0, name);
  }
});
