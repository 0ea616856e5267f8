'use strict';
// Builds the addon from source, against a libabyssal of this machine, for one that the prebuilt addon does not run on.
// What is built is preferred to that. Nothing is downloaded, and nothing runs this but its user:
//     npm explore abyssal -- npm run build      ABYSSAL_PREBUILT: where Abyssal is installed, if the system does not know

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const FOLDER = __dirname;
const CACHE = path.join(FOLDER, 'build', 'cmake');
const BUILT = path.join(FOLDER, 'build', 'abyssal.node');

function giveUp(...lines) {
  for (const line of lines) console.error(`abyssal: ${line}`);
  process.exit(1);
}

function run(command, ...args) {
  const result = spawnSync(command, args, { encoding: 'utf8', cwd: FOLDER });
  if (result.error?.code === 'ENOENT')
    giveUp(`${command} is not installed. Needed: CMake 3.25, a C++20 compiler, an installed libabyssal.`);
  if (result.status !== 0) giveUp(`${[command, ...args].join(' ')} failed:`, result.stdout + result.stderr);
}

const given = process.env.ABYSSAL_PREBUILT;
run(
  'cmake',
  '-S',
  FOLDER,
  '-B',
  CACHE,
  '-DCMAKE_BUILD_TYPE=Release',
  ...(given ? [`-DABYSSAL_PREBUILT=${given}`] : []),
);
run('cmake', '--build', CACHE, '--parallel', '2');
// In a process of its own: a library that is for another machine may end it.
run(process.execPath, '-e', 'require(process.argv[1])', BUILT);
console.log(`abyssal: built ${BUILT}`);
