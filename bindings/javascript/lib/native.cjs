'use strict';
// Loads the addon: one that came with the package, or one that install.cjs has built.

const path = require('node:path');

const PLACES = [
  path.join(__dirname, '..', 'prebuilds', `${process.platform}-${process.arch}`, 'abyssal.node'),
  path.join(__dirname, '..', 'build', 'abyssal.node'),
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
    `the abyssal addon cannot be loaded; is the package installed for this machine?\n${failures.join('\n')}`,
  );
}

const native = load();
module.exports = { native, load, PLACES };
