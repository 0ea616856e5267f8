'use strict';
// What npm runs after unpacking: nothing, when the addon inside runs here. Else the addon is built from source, against
// a libabyssal of this machine. Nothing is downloaded.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const FOLDER = __dirname;
const PREBUILT = path.join(FOLDER, 'prebuilds', `${process.platform}-${process.arch}`, 'abyssal.node');

function say(...lines) {
  for (const line of lines) console.error(`abyssal: ${line}`);
}

function giveUp(...lines) {
  say(...lines);
  process.exit(1);
}

// In a process of its own: a library that is for another machine may end it.
function loads(file) {
  return spawnSync(process.execPath, ['-e', 'require(process.argv[1])', file], { encoding: 'utf8' });
}

function why(result) {
  const text = result.stderr || '';
  return (/^Error: (.*)$/m.exec(text) ?? [null, result.signal ?? text.trim()])[1];
}

function run(command, ...args) {
  const result = spawnSync(command, args, { encoding: 'utf8', cwd: FOLDER });
  if (result.error?.code === 'ENOENT')
    giveUp(
      `${command} is not installed, and the addon must be built from source.`,
      'Needed: CMake 3.25, a C++20 compiler.',
    );
  if (result.status !== 0) giveUp(`${[command, ...args].join(' ')} failed:`, result.stdout + result.stderr);
}

function build() {
  const cache = path.join(FOLDER, 'build', 'cmake');
  const given = process.env.ABYSSAL_PREBUILT;
  run(
    'cmake',
    '-S',
    FOLDER,
    '-B',
    cache,
    '-DCMAKE_BUILD_TYPE=Release',
    ...(given ? [`-DABYSSAL_PREBUILT=${given}`] : []),
  );
  run('cmake', '--build', cache, '--parallel', '2');
  const result = loads(path.join(FOLDER, 'build', 'abyssal.node'));
  if (result.status !== 0) giveUp('the addon was built, but does not load:', why(result));
  say('built the addon from source');
}

if (process.env.ABYSSAL_BUILD_FROM_SOURCE === '1') {
  fs.rmSync(path.join(FOLDER, 'prebuilds'), { recursive: true, force: true });
  build();
} else if (!fs.existsSync(PREBUILT)) {
  say(`there is no prebuilt addon for ${process.platform}-${process.arch}; building it from source`);
  build();
} else {
  const result = loads(PREBUILT);
  if (result.status !== 0) {
    say('the prebuilt addon does not run here; building it from source', why(result));
    build();
  }
}
