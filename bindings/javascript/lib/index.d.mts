import abyssal = require('./index.js');
export * from './index.js';
export default abyssal;
