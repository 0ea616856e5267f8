'use strict';
// Loads the addon: one that build.cjs has built, or the one that came with the package.

const path = require('node:path');

const PLACES = [
  path.join(__dirname, '..', 'build', 'abyssal.node'),
  path.join(__dirname, '..', 'prebuilds', `${process.platform}-${process.arch}`, 'abyssal.node'),
];

function load() {
  const failures = [];
  for (const place of PLACES) {
    try {
      return require(place);
    } catch (error) {
      failures.push(`${place}: ${error.message}`);
    }
  }
  throw new Error(
    'the abyssal addon cannot be loaded on this machine; to build it from source: npm explore abyssal -- npm run build\n' +
      failures.join('\n'),
  );
}

const native = load();
module.exports = { native, load, PLACES };
